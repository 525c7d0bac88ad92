import { existsSync, statfsSync } from 'node:fs'
import { dirname } from 'node:path'

const KB = 1024
const MB = 1024 * KB
const GB = 1024 * MB

/** Of a reserve that nobody has chosen: this share of the file system, and at most so much. */
const DEFAULT_SHARE = 0.05
const MOST_BY_DEFAULT = GB

/** From this share of the file system on a warning says when it will be full. */
export const WARN_SHARE = 0.8

/** One append of the broker at its longest, which may be under way when the reserve is reached. */
const APPEND_BYTES = 4 * MB

/** What a folder's file system has, in bytes. */
export interface DiskSize {
  readonly size: number
  /** For a user without privileges. */
  readonly free: number
}

/** Of the file system of a folder, or of the nearest one above that exists. */
export function diskSizeOf(folder: string): DiskSize {
  const { blocks, bavail, bsize } = statfsSync(nearestExisting(folder))
  return { size: blocks * bsize, free: bavail * bsize }
}

export function nearestExisting(path: string): string {
  return existsSync(path) ? path : nearestExisting(dirname(path))
}

/**
 * The most that a WAL may hold before it is moved into its database, which takes as much room again: a 128th of the file
 * system, at least 512 KiB and at most `most`.
 */
export function walBytesFor(folder: string, most: number): number {
  return between(512 * KB, diskSizeOf(folder).size / 128, most)
}

/** {@link walBytesFor} in pages of SQLite's default size. */
export function walPagesFor(folder: string, most: number): number {
  return Math.floor(walBytesFor(folder, most) / 4096)
}

/** What every database may need at once to move its WAL into itself, with an append that is under way. */
export function checkpointBytes(size: number): number {
  return APPEND_BYTES + between(MB, size / 32, 28 * MB)
}

/** Length of the file that is given back when others have used up the reserve. */
export function reserveFileBytes(size: number): number {
  return between(MB, size / 128, 16 * MB)
}

/**
 * Bytes that are to stay free on a file system of `size`: as `setting` says ("500MB", "5%"), by default the smaller of 5 %
 * and 1 GiB; at least {@link checkpointBytes}.
 */
export function reserveBytes(setting: string | undefined, size: number): number {
  const { bytes, share } =
    setting === undefined ? { bytes: MOST_BY_DEFAULT, share: DEFAULT_SHARE } : parseReserve(setting)
  return Math.ceil(Math.max(Math.min(bytes, share * size), checkpointBytes(size)))
}

const UNITS: Readonly<Record<string, number>> = { '': 1, KB, MB, GB, TB: 1024 * GB }

/** The value of DISK_RESERVE: both hold, the smaller one counts. Throws an Error with the reason. */
export function parseReserve(text: string): { bytes: number; share: number } {
  const [, number = '', unit = ''] = /^(\d+(?:\.\d+)?) ?(%|[KMGT]B|)$/.exec(text.trim()) ?? []
  const value = number === '' ? NaN : Number(number)
  if (unit === '%' && value <= 50) return { bytes: Infinity, share: value / 100 }
  if (unit !== '%' && value >= 0) return { bytes: value * (UNITS[unit] ?? 1), share: 1 }
  throw new Error(`"${text}" is not a size, such as 500MB or 2GB, or a share of the disk up to 50%`)
}

/** For people: "12.3 MB". */
export function shownBytes(bytes: number): string {
  if (bytes >= GB) return `${(bytes / GB).toFixed(1)} GB`
  return `${(Math.max(0, bytes) / MB).toFixed(1)} MB`
}

function between(least: number, value: number, most: number): number {
  return Math.round(Math.max(least, Math.min(value, most)))
}
