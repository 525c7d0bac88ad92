/**
 * What one session keeps for its client: far more commands than a device works off, of 4 KiB each. It is full when it
 * has as much, so that the longest message finds room, and none is dropped before one that came later and is kept.
 */
export const MAX_PER_SESSION = { messages: 1_000, bytes: 4 * 1024 * 1024 }
