/** Goes into the user agent that the hub shows for a device; equal to package.json's, which a test checks. */
export const version = "0.1.0";
