import { spawnSync } from 'node:child_process'
import { readdirSync, statSync } from 'node:fs'
import { join } from 'node:path'
import { DatabaseSync } from 'node:sqlite'
import { describe, expect, it } from 'vitest'
import { record, RAW, readAll, textsOf } from '../../contract/log-harness.ts'
import { filesOf, openEmbedded } from '../../contract/log-sqlite-harness.ts'
import { tempFolder } from '../../helpers.ts'
import { startLogProcess } from './log-process.ts'

const HOUR_MS = 3_600_000
/** A file is ended after an eighth of it. */
const RETENTION = { ageMs: 8 * HOUR_MS }

/** ext4 with inodes that have no place for a birth time, in a mount namespace of its own. */
const MOUNT =
  'cd "$0" && mkdir fs && truncate -s 16M img && mkfs.ext4 -q -I 128 img 2>/dev/null && mount -o loop img fs'
const TRY = `folder=$(mktemp -d); sh -c '${MOUNT}' "$folder"; status=$?; umount "$folder/fs"; rm -r "$folder"; exit $status`
const canMount = spawnSync('unshare', ['-m', 'sh', '-c', TRY]).status === 0

/** Appends in a new opening; how many files there are then. */
async function filesAfterAppend(folder: string): Promise<number> {
  const log = await openEmbedded(folder, { retention: RETENTION })
  await log.append(RAW, [record('acme/a', 'again', Date.now())])
  // The next file is begun behind the answer; the next answer comes behind it.
  await log.lag(RAW, 'nobody')
  expect(textsOf(await readAll(log, 0)).at(-1)).toBe('again')
  await log.close()
  return filesOf(folder).length
}

async function folderWith(change: (database: DatabaseSync) => void, ms = Date.now()): Promise<string> {
  const folder = join(tempFolder(), 'log')
  const log = await openEmbedded(folder, { retention: RETENTION })
  await log.append(RAW, [record('acme/a', 'first', ms)])
  await log.close()
  const database = new DatabaseSync(filesOf(folder)[0] ?? '')
  change(database)
  database.close()
  return folder
}

const setMade = (ms: number) => (database: DatabaseSync) => void database.exec(`UPDATE made SET ms = ${ms}`)

describe('the age of a file', () => {
  it.each([
    { what: 'is young', madeMs: -HOUR_MS / 2, files: 1 },
    { what: 'is old', madeMs: -2 * HOUR_MS, files: 2 },
    { what: 'was made before the clock was set back', madeMs: 2 * HOUR_MS, files: 2 },
  ])('is told by the file, which $what', async ({ madeMs, files }) => {
    const folder = await folderWith(setMade(Date.now() + madeMs))
    expect(await filesAfterAppend(folder)).toBe(files)
    expect(await filesAfterAppend(folder)).toBe(files)
  })

  it.each([
    { rows: 'young', ageMs: 0, files: 1 },
    { rows: 'old', ageMs: 2 * HOUR_MS, files: 2 },
  ])('of the version before is that of its first row: $rows', async ({ ageMs, files }) => {
    const folder = await folderWith((database) => database.exec('DROP TABLE made'), Date.now() - ageMs)
    expect(await filesAfterAppend(folder)).toBe(files)
  })

  it.skipIf(!canMount)('needs no birth times of the file system (needs root, `unshare` and mkfs.ext4)', async () => {
    const mounted = tempFolder()
    const child = startLogProcess(join(mounted, 'fs', 'log'), {
      ...RETENTION,
      wrap: (command) => ['unshare', '-m', 'sh', '-c', `${MOUNT} && exec "$@"`, mounted, ...command],
    })
    await child.next(/^ready$/)
    for (let i = 0; i < 20; i++) {
      child.send(`append ${i}`)
      expect(await child.next(/^(acked|failed)/)).toBe(`acked ${i}`)
    }
    // Only the process and its children see the mount.
    const inside = `/proc/${child.pid}/root${mounted}/fs/log`
    const [file = '', ...others] = readdirSync(inside).filter((name) => /^telemetry.raw-.*sqlite$/.test(name))
    expect(statSync(join(inside, file)).birthtimeMs).toBe(0)
    expect(others).toEqual([])
    child.send('close')
    await child.next(/^closed$/)
  })
})
