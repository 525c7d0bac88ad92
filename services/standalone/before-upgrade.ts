// Invariant: nothing in a data folder is brought to a new format before a whole copy of the folder as it was is durable.
import { existsSync, readdirSync, rmSync, statSync } from 'node:fs'
import { basename, join } from 'node:path'
import { SluiceError, toSluiceError } from '../../shared/errors.ts'
import { isBesideData } from '../../shared/backup/folder-swap.ts'
import { logFormat } from '../../shared/log/sqlite/verify.ts'
import { pointsFormat } from '../../shared/points/sqlite/verify.ts'
import type { Logger } from '../../shared/process/logger.ts'
import { registryFormat } from '../../shared/registry/sqlite/verify.ts'
import { sessionsFormat } from '../../shared/sessions/sqlite/verify.ts'
import type { StoreFormat } from '../../shared/storage/file-format.ts'
import { copyFolder } from '../../shared/storage/folder-copy.ts'
import { sizeOf } from '../../shared/storage/folders.ts'
import { fileFault, storageFault } from '../../shared/storage/storage-fault.ts'

/** What each store is, and what this version makes of it. */
export function formatsOf(folder: string): Readonly<Record<string, StoreFormat>> {
  return {
    registry: registryFormat(join(folder, 'registry.db')),
    points: pointsFormat(join(folder, 'points')),
    log: logFormat(join(folder, 'log')),
    sessions: sessionsFormat(join(folder, 'sessions.db')),
  }
}

const COPIES = /^before(-(registry|points|log|sessions)\d+)+$/

const HOW_BACK = 'docs/upgrade.md says under "Back" how to go back to it'

/**
 * Copies a data folder that an older version wrote, unless this was done before, and removes the copy of the upgrade before
 * this one. Without room for it nothing is upgraded. Errors: `disk_full`, `data_unwritable`.
 */
export function keepBeforeUpgrade(folder: string, logger: Logger): void {
  const name = nameOf(folder)
  if (name === undefined || existsSync(join(folder, name))) return
  const copy = join(folder, name)
  try {
    const { copied, shared } = copyFolder(folder, copy, { skip, isShared: (path) => isUnchanging(folder, path) })
    logger.info(
      { copy, copied, shared },
      'the data folder was copied before its upgrade; remove the copy to free its room',
    )
    for (const old of copiesIn(folder).filter((one) => one !== name)) {
      const bytes = bytesOf(join(folder, old))
      rmSync(join(folder, old), { recursive: true })
      logger.info({ copy: join(folder, old), freed: bytes }, 'the copy of an earlier upgrade was removed')
    }
  } catch (error) {
    const { message } = toSluiceError(error)
    const orElse = `make room, or the empty folder ${copy} to do without a copy`
    const text = `${folder} is of an older version, and cannot be copied before it is upgraded: ${message}; ${orElse}`
    throw new SluiceError(fileFault(error), text, { cause: error })
  }
}

/** An error of opening the folder; with the copies that there are where a newer version wrote it. */
export function withCopies(error: unknown, folder: string): unknown {
  if (!(error instanceof SluiceError) || error.code !== 'data_newer') return error
  const copies = copiesIn(folder).map((name) => join(folder, name))
  const there =
    copies.length === 0
      ? 'there is no copy of what it was before'
      : `${copies.join(', ')} is what it was before; ${HOW_BACK}`
  return new SluiceError('data_newer', `${error.message}; ${there}`, { cause: error })
}

function copiesIn(folder: string): string[] {
  return readdirSync(folder).filter((name) => COPIES.test(name))
}

/** The reserve is room, and what earlier damage left is of no use to anybody who goes back. */
function skip(path: string): boolean {
  const name = basename(path)
  return (
    COPIES.test(path) ||
    isBesideData(path) ||
    name === 'disk-reserve' ||
    name.includes('.damaged') ||
    /(-shm|\.draft)$/.test(name)
  )
}

/** Chunk files, which are unshared when they are opened, and finished files of the log, which get nothing more. */
function isUnchanging(folder: string, path: string): boolean {
  const beside = ['-wal', '-journal'].some((suffix) => sizeOf(join(folder, `${path}${suffix}`)) > 0)
  if (beside) return false
  if (/^points\/chunks\/\d+\/[^/]+\.db$/.test(path)) return true
  const topic = /^log\/(.+)-\d+\.sqlite$/.exec(path)?.[1]
  if (topic === undefined) return false
  const files = readdirSync(join(folder, 'log')).filter(
    (name) => name.startsWith(`${topic}-`) && name.endsWith('.sqlite'),
  )
  return files.sort().at(-1) !== basename(path)
}

/**
 * The name of the copy, after what is about to be written; undefined when nothing is of an older format. What cannot be
 * read, or is locked, is left to whoever opens it, and says why.
 */
function nameOf(folder: string): string | undefined {
  try {
    const formats = Object.entries(formatsOf(folder))
    if (!formats.some(([, { found, current }]) => found !== undefined && found < current)) return undefined
    return ['before', ...formats.map(([store, { current }]) => `${store}${current}`)].join('-')
  } catch (error) {
    if (storageFault(error) === undefined) throw error
    return undefined
  }
}

/** Without what it shares with others. */
function bytesOf(folder: string): number {
  const files = readdirSync(folder, { recursive: true, encoding: 'utf8' }).map((name) => statSync(join(folder, name)))
  return files.reduce((sum, file) => sum + (file.isFile() && file.nlink === 1 ? file.size : 0), 0)
}
