/** The names of shelves. */

/** API keys, by id. */
export const KEYS = 'keys'
/** When each key was used last, by id. */
export const KEY_USES = 'key-uses'
