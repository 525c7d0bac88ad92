import { existsSync, readdirSync, readFileSync } from 'node:fs'
import { join, relative, resolve } from 'node:path'
import { SluiceError } from '../../../shared/errors.ts'
import { verifyLog } from '../../../shared/log/sqlite/verify.ts'
import { verifyPoints } from '../../../shared/points/sqlite/verify.ts'
import { isApiKey, parseCredentialKey } from '../../../shared/registry/credentials.ts'
import { verifyRegistry } from '../../../shared/registry/sqlite/verify.ts'
import { verifySessions } from '../../../shared/sessions/sqlite/verify.ts'
import { readSlotState } from '../../../shared/stamps/slot.ts'
import { checkFile, isLocked, type FileCheck } from '../../../shared/storage/file-check.ts'
import type { Finding } from './health-checks.ts'

/** Parts of a standalone data folder: how their files are read, and what to do when one is damaged. */
const PARTS: Readonly<Record<string, { read: (folder: string) => Iterable<FileCheck>; fix: string }>> = {
  log: {
    read: (folder) => verifyLog(join(folder, 'log')),
    fix: 'The next start keeps the file as .damaged, reads what is whole, and counts what is lost and was not stored yet as a gap. To lose nothing, put a backup in its place (./sluice restore --replace).',
  },
  points: {
    read: (folder) => verifyPoints(join(folder, 'points')),
    fix: 'Readings are lost: queries that touch them are answered with store_corrupt, all others as before. Put a backup in its place to have them again (./sluice restore --replace).',
  },
  registry: {
    read: (folder) => verifyRegistry(join(folder, 'registry.db')),
    fix: 'Sluice does not start with it. Put a backup in its place (./sluice restore --replace).',
  },
  sessions: {
    read: (folder) => verifySessions(join(folder, 'sessions.db')),
    fix: 'The next start keeps the file as .damaged and takes over what is whole: retained messages, queued messages and sessions may be lost. To lose nothing, put a backup in its place (./sluice restore --replace).',
  },
  stamps: {
    read: (folder) => readText(join(folder, 'stamps.json'), (text) => readSlotState(text) !== undefined),
    fix: 'Sluice does not start with it. Put a backup in its place (./sluice restore --replace), or remove it: eras of stamps are then found in the log.',
  },
  keys: {
    *read(folder) {
      yield* readText(join(folder, 'credential-key'), (text) => isCredentialKey(text))
      yield* readText(join(folder, 'admin-token'), (text) => isApiKey(text.trim()))
    },
    fix: 'Put a backup in its place (./sluice restore --replace), or only this file. Without its credential key the registry cannot be opened; an admin-token that is removed is made anew.',
  },
}

/** What a standalone Sluice keeps, and what tells that a folder is none of its. */
const STORES = ['log', 'points', 'registry.db', 'sessions.db']
/** The lock of each store; the first one is that of the folder. */
const LOCKS = ['log/groups.sqlite', 'points/raw.db', 'registry.db', 'sessions.db']

/**
 * Reads every file of a standalone data folder and compares it with its checksums; nothing in the folder changes. A
 * finding of each part, and one of each file that is damaged. Error: `data_locked` while a Sluice runs on the folder.
 */
export function checkDataFiles(path: string): Finding[] {
  const folder = resolve(path)
  if (!STORES.some((name) => existsSync(join(folder, name)))) return [nothingIn(folder)]
  throwIfRunning(folder)
  const findings = Object.entries(PARTS).flatMap(([part, { read, fix }]) => {
    const checks = [...read(folder)].map(({ file, ...check }) => ({ ...check, file: relative(folder, file) }))
    return findingsOf(part, checks, fix)
  })
  // What is written while it is read looks damaged.
  throwIfRunning(folder)
  return [...findings, ...keptIn(folder)]
}

function findingsOf(check: string, checks: readonly FileCheck[], fix: string): Finding[] {
  if (checks.length === 0) return [{ check, health: 'ok', detail: 'there are no files' }]
  const damaged = checks.filter(({ flaws }) => flaws.length > 0)
  const files = new Set(checks.map(({ file }) => file)).size
  const count = checks.reduce((sum, { checked }) => sum + checked, 0)
  const whole = `${files} files, ${count} checksums compared`
  return [
    ...(damaged.length > 0 ? [] : [{ check, health: 'ok' as const, detail: whole }]),
    ...damaged.map(({ file, flaws }) => ({
      check,
      health: 'fail' as const,
      detail: `${file}: ${flaws.join('; ')}`,
      fix,
    })),
    ...checks
      .filter(({ notes }) => notes.length > 0)
      .map(({ file, notes }) => ({ check, health: 'warn' as const, detail: `${file}: ${notes.join('; ')}` })),
  ]
}

/** Copies of files that earlier starts found damaged. */
function keptIn(folder: string): Finding[] {
  const names = readdirSync(folder, { recursive: true, encoding: 'utf8' }).filter((name) =>
    /\.damaged(-\d+)?$/.test(name),
  )
  if (names.length === 0) return []
  const detail = `kept from earlier damage: ${names.sort().join(', ')}`
  return [{ check: 'kept', health: 'warn', detail, fix: 'Remove these copies when nobody needs them any more.' }]
}

function nothingIn(folder: string): Finding {
  const detail = `${folder} has no log, points, registry or sessions of a standalone Sluice`
  const fix =
    'Set DATA_DIR to the folder of a standalone Sluice. In a cluster the data are in Kafka, InfluxDB, MariaDB and Redis, which check their own files: none of them was looked at.'
  return { check: 'data files', health: 'fail', detail, fix }
}

/** Error: `data_locked` while a Sluice uses the folder. */
export function throwIfRunning(folder: string): void {
  const locked = LOCKS.find((name) => isLocked(join(folder, name)))
  if (locked === undefined) return
  const what = `a Sluice runs on ${folder} (it has ${locked}), and its files change while they are read`
  throw new SluiceError('data_locked', `${what}: stop it first, or verify a copy or a backup of the folder`)
}

function* readText(file: string, isRight: (text: string) => boolean): Generator<FileCheck> {
  if (!existsSync(file)) return
  yield checkFile(file, (found) => {
    found.compare(isRight(readFileSync(file, 'utf8')), () => 'it is not what was written')
  })
}

function isCredentialKey(text: string): boolean {
  try {
    return parseCredentialKey(text, '').length > 0
  } catch (error) {
    if (error instanceof SluiceError) return false
    throw error
  }
}
