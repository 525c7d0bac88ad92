/** What is wrong with a file or the disk under it, whichever store it belongs to. */
export type StorageFault = 'data_unwritable' | 'data_locked' | 'disk_full' | 'corrupt'

/** Result codes of SQLite, https://www.sqlite.org/rescode.html: primary ones, and extended ones that say more. */
const SQLITE: Readonly<Record<number, StorageFault>> = {
  3: 'data_unwritable', // SQLITE_PERM
  5: 'data_locked', // SQLITE_BUSY
  6: 'data_locked', // SQLITE_LOCKED
  8: 'data_unwritable', // SQLITE_READONLY
  11: 'corrupt', // SQLITE_CORRUPT
  13: 'disk_full', // SQLITE_FULL
  14: 'data_unwritable', // SQLITE_CANTOPEN
  15: 'data_locked', // SQLITE_PROTOCOL
  26: 'corrupt', // SQLITE_NOTADB
  4874: 'disk_full', // SQLITE_IOERR_SHMSIZE: the -shm of a WAL that is to be read finds no room
}

const SYSTEM: Readonly<Record<string, StorageFault>> = {
  ENOSPC: 'disk_full',
  EDQUOT: 'disk_full',
  EFBIG: 'disk_full', // the file size limit of the process
  EACCES: 'data_unwritable',
  EPERM: 'data_unwritable',
  EROFS: 'data_unwritable',
  ENOTDIR: 'data_unwritable',
  EEXIST: 'data_unwritable',
  ENOENT: 'data_unwritable',
  ELOOP: 'data_unwritable',
  ENAMETOOLONG: 'data_unwritable',
}

/** Of an error of `node:sqlite` or of the file system; undefined when it means none of these. */
export function storageFault(error: unknown): StorageFault | undefined {
  const result = resultCodeOf(error)
  if (result !== undefined) return faultOfResult(result)
  if (!(error instanceof Error) || !('code' in error) || typeof error.code !== 'string') return undefined
  return SYSTEM[error.code]
}

/** For a file that cannot be used: a full disk is told apart from all else. */
export function fileFault(error: unknown): 'disk_full' | 'data_unwritable' {
  return storageFault(error) === 'disk_full' ? 'disk_full' : 'data_unwritable'
}

/** Of a result code of SQLite, extended or not. */
export function faultOfResult(resultCode: number): StorageFault | undefined {
  return SQLITE[resultCode] ?? SQLITE[resultCode & 0xff]
}

/** SQLite's extended result code; undefined for an error of another kind. */
export function resultCodeOf(error: unknown): number | undefined {
  return error instanceof Error && 'errcode' in error && typeof error.errcode === 'number' ? error.errcode : undefined
}
