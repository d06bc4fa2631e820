type Meaning = { refusal: "corrupt" | "readOnly" | "full" | "other" };

/**
 * SQLite's primary result codes that tell about the disk rather than about the statement: the operation may succeed
 * later, and the store is not healthy. Everything else is a mistake of ours. (SQLite docs, "Result and Error Codes".)
 */
export const sqliteCodes: Readonly<Record<number, Meaning>> = {
  /** PERM */ 3: { refusal: "readOnly" },
  /** BUSY */ 5: { refusal: "other" },
  /** LOCKED */ 6: { refusal: "other" },
  /** NOMEM */ 7: { refusal: "other" },
  /** READONLY */ 8: { refusal: "readOnly" },
  /** IOERR */ 10: { refusal: "other" },
  /** CORRUPT */ 11: { refusal: "corrupt" },
  /** FULL */ 13: { refusal: "full" },
  /** CANTOPEN */ 14: { refusal: "readOnly" },
  /** PROTOCOL */ 15: { refusal: "other" },
  /** NOTADB */ 26: { refusal: "corrupt" },
};
