/** `{deviceId}` or `{deviceId}/{moduleId}` by its characters: no space and no `&`, so never a whole token. */
const ID = /^[A-Za-z0-9\-.+%_#*?!(),:=@$'/]{0,257}$/;

/** Whether a client id may go into a log line or an error: one that is none may be a token in the wrong field. */
export const isShownId = (clientId: string): boolean => ID.test(clientId);
