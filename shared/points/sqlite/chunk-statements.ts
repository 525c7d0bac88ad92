import { CHUNK_COLUMNS } from './chunk-row.ts'

/** What a file of chunks is asked for: of a series, and a start in ms and the nanoseconds beyond. */

const OF_SERIES = `SELECT ${CHUNK_COLUMNS} FROM chunk WHERE series = ?`
const UPWARDS = 'ORDER BY start_ms, start_ns'
const DOWNWARDS = 'ORDER BY start_ms DESC, start_ns DESC'
export const COVERING = `SELECT start_ms, start_ns FROM chunk WHERE series = ? AND (start_ms, start_ns) <= (?, ?) ${DOWNWARDS} LIMIT 1`
export const RANGE = `${OF_SERIES} AND (start_ms, start_ns) >= (?, ?) ${UPWARDS}`
export const BEFORE = `${OF_SERIES} AND (start_ms, start_ns) < (?, ?) ${DOWNWARDS}`
export const PREV = 'SELECT prev FROM chunk WHERE id = ?'
export const AFTER = `${OF_SERIES} AND (start_ms, start_ns) > (?, ?) ${UPWARDS}`
export const STATE = 'SELECT gaps, tails, first_id, (SELECT max(id) FROM chunk) AS last FROM state'
export const ANY = 'SELECT 1 FROM chunk UNION ALL SELECT 1 FROM tail LIMIT 1'
