import { copyFileSync, existsSync, readdirSync, rmSync, statSync } from 'node:fs'
import { dirname, join } from 'node:path'
import { Readable } from 'node:stream'
import { DatabaseSync } from 'node:sqlite'
import { writeBackup, type About } from '../../shared/backup/backup-writer.ts'
import type { Recipients } from '../../shared/backup/envelope.ts'
import { SluiceError, toSluiceError } from '../../shared/errors.ts'
import type { Logger } from '../../shared/process/logger.ts'
import { diskSizeOf, reserveBytes, shownBytes } from '../../shared/storage/disk-reserve.ts'
import { makeFolder, PRIVATE, sizeOf } from '../../shared/storage/folders.ts'
import { fileFault } from '../../shared/storage/storage-fault.ts'
import { formatsOf } from './before-upgrade.ts'

/**
 * Copies of the stores while they are used, each of one moment. Taken in this order nothing is between two of them: what is
 * behind the positions is in the points or in the records, and latest states name no record that is not there.
 */
export interface StoreSnapshots {
  /** What was read of the log, with all records that are in it; into a folder. */
  readonly positions: (folder: string) => Promise<void>
  readonly points: (folder: string) => Promise<void>
  readonly registry: (file: string) => Promise<void>
  /** What came since; into the folder of the positions. */
  readonly records: (folder: string) => Promise<void>
  readonly sessions: (file: string) => Promise<void>
}

export interface BackupsOptions {
  /** The data folder. */
  readonly folder: string
  readonly snapshots: StoreSnapshots
  /** DISK_RESERVE. */
  readonly reserve: string | undefined
  /** Of this Sluice. */
  readonly version: string
  readonly logger: Logger
}

const STAGE = 'backup.stage'
/** Beside the stores: they are written whole or not at all, so they may be copied at any time. */
const FILES = ['stamps.json', 'credential-key', 'admin-token']
const FOLDERS = ['tls']

/** Makes backups of a standalone folder while it runs, one at a time. */
export class Backups {
  readonly #options: BackupsOptions
  #current: Readable | undefined
  #isMaking = false

  constructor(options: BackupsOptions) {
    this.#options = options
  }

  /**
   * The bytes of a backup, to be read or destroyed. Resolves when the stores are copied: in the copy is everything that was
   * acknowledged before the call. Errors: `already_exists` while another one is being made, `disk_full`, those of the stores,
   * `bad_request` of recipients.
   */
  async make(recipients: Recipients): Promise<Readable> {
    if (this.#isMaking) throw new SluiceError('already_exists', 'a backup is being made: wait until it is done')
    this.#isMaking = true
    const { folder, version, logger } = this.#options
    const made = new Date().toISOString()
    const begun = performance.now()
    try {
      const stage = await this.#copy()
      const about: About = { made, sluice: version, deployment: 'standalone', ...contentsOf(stage) }
      logger.info({ seconds: (performance.now() - begun) / 1000 }, 'the stores were copied for a backup')
      const stream = Readable.from(writeBackup(stage, about, recipients), { objectMode: false })
      this.#current = stream
      stream.once('close', () => this.#done(stream.readableEnded))
      return stream
    } catch (error) {
      this.#done(false)
      if (error instanceof SluiceError) throw error
      const { message } = toSluiceError(error)
      throw new SluiceError(fileFault(error), `copying ${folder} for a backup: ${message}`, { cause: error })
    }
  }

  /** Ends the one that is under way: whoever reads it is told. */
  async close(): Promise<void> {
    this.#current?.destroy(new SluiceError('closed', 'the process is shutting down'))
  }

  async #copy(): Promise<string> {
    const { folder, snapshots } = this.#options
    removeStage(folder)
    this.#checkRoom()
    const stage = join(folder, STAGE)
    makeFolder(stage, PRIVATE)
    await snapshots.positions(join(stage, 'log'))
    await snapshots.points(join(stage, 'points'))
    await snapshots.registry(join(stage, 'registry.db'))
    await snapshots.records(join(stage, 'log'))
    await snapshots.sessions(join(stage, 'sessions.db'))
    for (const name of namesOfFiles(folder)) {
      makeFolder(dirname(join(stage, name)), PRIVATE)
      copyFileSync(join(folder, name), join(stage, name))
    }
    return stage
  }

  /** A backup must not be what stops acknowledgements. */
  #checkRoom(): void {
    const { folder, reserve } = this.#options
    const needed = sizeOf(join(folder, 'registry.db')) + sizeOf(join(folder, 'sessions.db')) + bytesBelow(folder)
    const { free, size } = diskSizeOf(folder)
    const left = free - reserveBytes(reserve, size)
    if (needed <= left) return
    const text = `${shownBytes(needed)} for a copy, and ${shownBytes(left)} are free beside the reserve`
    throw new SluiceError('disk_full', `a backup of ${folder} needs ${text}`)
  }

  #done(isRead: boolean): void {
    this.#isMaking = false
    this.#current = undefined
    removeStage(this.#options.folder)
    this.#options.logger.info({ complete: isRead }, 'a backup ended')
  }
}

/** What a backup leaves in the folder when its process is killed. */
export function removeStage(folder: string): void {
  rmSync(join(folder, STAGE), { recursive: true, force: true })
}

function contentsOf(stage: string): Pick<About, 'formats' | 'tenants'> {
  const formats = Object.entries(formatsOf(stage)).map(([store, { found, current }]): [string, number] => [
    store,
    found ?? current,
  ])
  const registry = new DatabaseSync(join(stage, 'registry.db'), { readOnly: true })
  try {
    const rows = registry.prepare('SELECT tenant FROM tenants ORDER BY tenant').all()
    return { formats: Object.fromEntries<number>(formats), tenants: rows.map(({ tenant }) => String(tenant)) }
  } finally {
    registry.close()
  }
}

function namesOfFiles(folder: string): string[] {
  const below = FOLDERS.flatMap((name) => {
    if (!existsSync(join(folder, name))) return []
    return readdirSync(join(folder, name), { recursive: true, encoding: 'utf8' }).map((entry) => join(name, entry))
  })
  return [...FILES, ...below].filter((name) => statSync(join(folder, name), { throwIfNoEntry: false })?.isFile())
}

/** Of the points: files of the log are shared. */
function bytesBelow(folder: string): number {
  const points = join(folder, 'points')
  const files = readdirSync(points, { recursive: true, encoding: 'utf8' })
  return files.reduce((sum, name) => sum + sizeOf(join(points, name)), 0)
}
