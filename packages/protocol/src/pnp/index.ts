export * from "./command-name.ts";
export * from "./component-patch.ts";
export * from "./writable-property.ts";
