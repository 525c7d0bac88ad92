import type { KeyObject } from 'node:crypto'
import { copyFileSync, cpSync, existsSync, readFileSync, rmSync } from 'node:fs'
import { join } from 'node:path'
import { finished } from 'node:stream/promises'
import { standaloneSettings } from '../../../config/standalone.ts'
import { finishSwap } from '../../../shared/backup/folder-swap.ts'
import type { Recipients } from '../../../shared/backup/envelope.ts'
import type { BackupManifest } from '../../../shared/backup/manifest.ts'
import { loadConfig, type Environment } from '../../../shared/config.ts'
import { SluiceError } from '../../../shared/errors.ts'
import { createLogger } from '../../../shared/process/logger.ts'
import { createMetrics } from '../../../shared/process/metrics.ts'
import { Releasers } from '../../../shared/process/releasers.ts'
import { thisBuild } from '../../../shared/process/version.ts'
import { openSqlitePoints } from '../../../shared/points/sqlite/open.ts'
import { RANDOM_UIDS } from '../../../shared/registry/facts-port.ts'
import { openSqliteRegistry } from '../../../shared/registry/sqlite/open.ts'
import { takeOver, type TakenOver } from '../../../shared/registry/sqlite/take-over.ts'
import type { Tombstone } from '../../../shared/registry/tombstones-port.ts'
import { openSqliteSessions } from '../../../shared/sessions/sqlite/open.ts'
import {
  inOtherEra,
  NEW_SLOT,
  readSlotState,
  withEnd,
  withEnds,
  writeSlotState,
  type SlotState,
} from '../../../shared/stamps/slot.ts'
import { SUMMED_SUFFIXES } from '../../../shared/storage/damaged.ts'
import { replaceFile } from '../../../shared/storage/replace-file.ts'
import { Backups, removeStage } from '../../standalone/backups.ts'
import { formatsOf, keepBeforeUpgrade } from '../../standalone/before-upgrade.ts'
import { credentialKeyOf, openEmbeddedPorts, watchDisk } from '../../standalone/main.ts'
import { throwIfRunning } from '../doctor/data-files.ts'
import { storeBackup, type StoredBackup } from './backup-file.ts'
import { restoreFolder, type Restored, type RestoreOptions } from './folder-restore.ts'

export interface StoppedFolder {
  /** The process's own when undefined. */
  readonly env: Environment | undefined
  readonly folder: string
}

/**
 * Stores a backup of a folder that no Sluice uses, opening it as a start does, so that its formats are those of this version.
 * Errors: `data_locked`, `not_found` for a folder that is none, those of the stores and of {@link storeBackup}.
 */
export async function backUpFolder(
  { env, folder }: StoppedFolder,
  recipients: Recipients,
  to: { readonly file: string; readonly identity: KeyObject | undefined },
): Promise<StoredBackup> {
  if (!existsSync(join(folder, 'registry.db'))) {
    throw new SluiceError('not_found', `${folder} is not the data folder of a standalone Sluice`)
  }
  throwIfRunning(folder)
  const config = loadConfig(standaloneSettings, env)
  const [logger, metrics, releasers] = [createLogger('warn'), createMetrics({ defaults: false }), new Releasers()]
  const context = { config, folder, logger, metrics, releasers }
  try {
    const disk = releasers.own('disk', watchDisk(context), (it) => it.close())
    finishSwap(folder)
    keepBeforeUpgrade(folder, logger)
    const { snapshots } = await openEmbeddedPorts({ ...context, disk, fail: () => undefined })
    const { version } = thisBuild()
    const backups = new Backups({ folder, snapshots, reserve: config.DISK_RESERVE, version, logger })
    const bytes = await backups.make(recipients)
    const stored = await storeBackup(bytes, to.file, to.identity)
    await finished(bytes)
    return stored
  } finally {
    await releasers.close()
    removeStage(folder)
  }
}

/** What a restore made of the backup. */
export interface Prepared {
  /** What the data that were there knew and the backup did not; undefined where they are none of the same installation. */
  readonly taken: TakenOver | undefined
  readonly deletedSpans: number
}

type Restore = StoppedFolder & Pick<RestoreOptions<Prepared>, 'file' | 'identity' | 'replace' | 'onProgress'>

/** Puts a backup into the place of a folder. Errors: those of {@link restoreFolder}, `credential_key_mismatch`. */
export function restore({ env, ...options }: Restore): Promise<Restored<Prepared>> {
  return restoreFolder({ ...options, prepare: (draft, manifest, old) => prepare(env, { draft, manifest, old }) })
}

interface Draft {
  readonly draft: string
  readonly manifest: BackupManifest
  /** The folder that is replaced. */
  readonly old: string | undefined
}

/** Nothing is as if the time since the backup had not been: what was ended stays so, and no identity is given out twice. */
async function prepare(env: Environment | undefined, { draft, manifest, old }: Draft): Promise<Prepared> {
  checkFormats(draft)
  const config = loadConfig(standaloneSettings, env)
  const file = join(draft, 'registry.db')
  const credentialKey = credentialKeyOf(config, draft)
  const shared = { logger: createLogger('warn'), metrics: createMetrics({ defaults: false }) }
  const migrated = async (path: string): Promise<void> => (await openRegistry(path)).close()
  const openRegistry = (path: string) => {
    return openSqliteRegistry({ ...shared, metrics: createMetrics({ defaults: false }), file: path, credentialKey })
  }
  await migrated(file)
  const taken = await takenFrom(old, draft, migrated)
  const registry = await openRegistry(file)
  try {
    await registry.facts.put(RANDOM_UIDS, 'since a restore')
    const removed = taken?.removedDevices ?? []
    await registry.removeDevices(removed)
    for (const name of taken?.removedApplications ?? []) await registry.removeApplication(name)
    const made = Date.parse(manifest.made)
    const { all } = await registry.tombstones.current()
    // One that was closed while the backup was made may have been put after its points were copied.
    const erased = all.filter(({ id, receivedMs = 0 }) => receivedMs >= made || taken?.tombstones.includes(id) === true)
    await erase(draft, erased)
    for (const tombstone of erased) await registry.tombstones.clearLatest(tombstone)
    const ended = [...removed.map(({ tenant, device }) => `${tenant}/${device}`), ...(taken?.endedLogins ?? [])]
    await forget(draft, [...ended, ...(taken?.removedApplications ?? [])], config.MAX_SESSIONS_PER_LOGIN)
    const what = `a backup of ${manifest.made}, ${ended.length} logins ended since, ${erased.length} spans deleted`
    await registry.audit({ who: 'restore', action: 'restore', subject: 'everything', detail: what })
    freshEra(draft, old)
    return { taken, deletedSpans: erased.length }
  } finally {
    await registry.close()
  }
}

/** Before anything is replaced by what does not start. Error: `data_newer`. */
function checkFormats(draft: string): void {
  for (const [store, { found = 0, current }] of Object.entries(formatsOf(draft))) {
    if (found <= current) continue
    throw new SluiceError('data_newer', `the backup's ${store} has format ${found}, this Sluice knows ${current}`)
  }
}

/** The later registry is opened as a copy: the old folder stays as it is. */
async function takenFrom(
  old: string | undefined,
  draft: string,
  migrated: (file: string) => Promise<void>,
): Promise<TakenOver | undefined> {
  if (old === undefined || !existsSync(join(old, 'registry.db'))) return undefined
  const copy = join(draft, 'later-registry.db')
  const remove = (): void => {
    for (const suffix of [...SUMMED_SUFFIXES, '-shm']) rmSync(`${copy}${suffix}`, { force: true })
  }
  try {
    for (const suffix of SUMMED_SUFFIXES) {
      const from = join(old, `registry.db${suffix}`)
      if (existsSync(from)) copyFileSync(from, `${copy}${suffix}`)
    }
    await migrated(copy)
    const taken = takeOver(join(draft, 'registry.db'), copy, Date.now())
    if (taken !== undefined) keepFiles(old, draft)
    return taken
  } catch (error) {
    // A registry that cannot be read is often why somebody restores; one with another key is another installation.
    const known = error instanceof SluiceError ? error.code : 'internal'
    if (!['data_corrupt', 'credential_key_mismatch', 'registry_unavailable'].includes(known)) throw error
    return undefined
  } finally {
    remove()
  }
}

/** The administrator's key, and the certificates with what was revoked of them, are the later ones. */
function keepFiles(old: string, draft: string): void {
  const token = join(old, 'admin-token')
  if (existsSync(token)) copyFileSync(token, join(draft, 'admin-token'))
  const tls = join(old, 'tls')
  if (!existsSync(tls)) return
  rmSync(join(draft, 'tls'), { recursive: true, force: true })
  cpSync(tls, join(draft, 'tls'), { recursive: true })
}

async function erase(draft: string, tombstones: readonly Tombstone[]): Promise<void> {
  if (tombstones.length === 0) return
  const options = { logger: createLogger('warn'), metrics: createMetrics({ defaults: false }) }
  const points = await openSqlitePoints({ folder: join(draft, 'points'), ...options })
  try {
    for (const { tenant, uid, stream, from, to } of tombstones) {
      await points.delete({ tenant, device: uid, ...(stream === undefined ? {} : { stream }), from, to })
    }
    await points.sync()
  } finally {
    await points.close()
  }
}

/** Their sessions and retained messages. */
async function forget(draft: string, logins: readonly string[], maxSessions: number): Promise<void> {
  if (logins.length === 0) return
  const options = { logger: createLogger('warn'), metrics: createMetrics({ defaults: false }), maxSessions }
  const failure: { error?: SluiceError } = {}
  const onFailed = (error: SluiceError): void => void (failure.error = error)
  const sessions = await openSqliteSessions({ file: join(draft, 'sessions.db'), ...options, onFailed })
  try {
    for (const login of logins) await sessions.forget(login)
  } finally {
    await sessions.close()
  }
  if (failure.error !== undefined) throw failure.error
}

/** Stamps of whatever ran since the backup are in another era: those of two messages never become one. */
function freshEra(draft: string, old: string | undefined): void {
  const now = Date.now()
  const later = old === undefined ? undefined : stateIn(old)
  const own = stateIn(draft) ?? NEW_SLOT
  const known = withEnds({ ...own, era: (later ?? own).era, taken: (later ?? own).taken }, later?.ends ?? [])
  const ended = withEnd(known, known.era, { ms: now, ns: 0 })
  const state = inOtherEra(ended, now)
  if (state.era === ended.era) {
    throw new SluiceError('clock_unusable', 'stamps of every era lie ahead of the clock: correct it, and restore again')
  }
  replaceFile(join(draft, 'stamps.json'), `${writeSlotState(state)}\n`, 0o600)
}

function stateIn(folder: string): SlotState | undefined {
  const file = join(folder, 'stamps.json')
  return existsSync(file) ? readSlotState(readFileSync(file, 'utf8')) : undefined
}
