/** Azure IoT Hub docs, query language: characters of a query. */
export const queryCharactersMax = 8192;
/** Parentheses, brackets, functions and operators inside one another. Ours: Azure names no figure. */
export const queryDepthMax = 200;
/** Azure IoT Hub docs, query: items on a page unless `x-ms-max-item-count` says otherwise. */
export const queryPageSizeDefault = 100;
/** More than that on one page is not given, whatever is asked for. Ours: live hubs were observed to give more than 100. */
export const queryPageSizeMax = 1000;
/** Groups of one GROUP BY. Ours. */
export const queryGroupsMax = 10_000;
