import { cpSync, mkdtempSync, readFileSync, rmSync, writeFileSync } from 'node:fs'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { setTimeout as pause } from 'node:timers/promises'
import { SluiceError } from '../../../shared/errors.ts'
import { createLogger } from '../../../shared/process/logger.ts'
import { createMetrics, type Metrics } from '../../../shared/process/metrics.ts'
import type { PointStore } from '../../../shared/points/port.ts'
import { openSqlitePoints } from '../../../shared/points/sqlite/open.ts'
import { verifyPoints } from '../../../shared/points/sqlite/verify.ts'
import { answersOf, COUNT, fill, filesOf } from '../../contract/points-filled-folder.ts'
import { randomFrom } from '../../../load-tests/hostile/mutations.ts'

/**
 * A process that flips one bit after the other in the files of a point store, opens it and asks for everything:
 * `flip-process.ts SEED FLIPS`. It says `flipped JSON` of each flip.
 */
const [seed = '1', flips = '1'] = process.argv.slice(2)

/** What became of a flip. */
export interface Flip {
  readonly file: string
  /** `doctor --verify` names the file, or another one of the store. */
  readonly isFound: boolean
  /** The store did not open, or answered queries with an error, or counted damage. */
  readonly isTold: boolean
  /** Answers that are not what was written, and no error. */
  readonly wrong: readonly string[]
}

interface Opened {
  readonly store: PointStore
  readonly metrics: Metrics
}

async function open(folder: string, sealAfterPoints = 1_000_000): Promise<Opened> {
  const metrics = createMetrics({ defaults: false })
  const store = await openSqlitePoints({ folder, logger: createLogger('silent'), metrics, sealAfterPoints })
  return { store, metrics }
}

async function figure({ metrics }: Opened, name: string): Promise<number> {
  return (await metrics.getSingleMetric(name)?.get())?.values[0]?.value ?? NaN
}

/** A store of which one half is sealed, closed, and as a process that was killed leaves it. */
async function makeFolders(parent: string): Promise<readonly string[]> {
  const [closed, killed] = [join(parent, 'closed'), join(parent, 'killed')]
  const first = await open(closed, 1)
  await fill(first.store, 0, COUNT / 2)
  while ((await figure(first, 'sluice_points_raw_points')) > 0) await pause(5)
  await first.store.close()
  const { store } = await open(closed)
  await fill(store, COUNT / 2, COUNT)
  cpSync(closed, killed, { recursive: true })
  await store.close()
  return [closed, killed]
}

async function outcomeOf(folder: string, file: string): Promise<Flip> {
  const isFound = [...verifyPoints(folder)].some(({ flaws, notes }) => flaws.length + notes.length > 0)
  let opened: Opened
  try {
    opened = await open(folder)
  } catch (error) {
    const isTold = error instanceof SluiceError && error.code !== 'internal'
    return { file, isFound, isTold, wrong: isTold ? [] : [String(error)] }
  }
  const { errors, wrong } = await answersOf(opened.store)
  const isTold = errors > 0 || (await figure(opened, 'sluice_points_damaged_total')) > 0
  await opened.store.close()
  return { file, isFound, isTold, wrong }
}

const parent = mkdtempSync(join(tmpdir(), 'sluice-flips-'))
try {
  const random = randomFrom(Number(seed))
  const folders = await makeFolders(parent)
  for (let i = 0; i < Number(flips); i++) {
    const folder = join(parent, 'flipped')
    cpSync(folders[i % folders.length] ?? '', folder, { recursive: true })
    const names = filesOf(folder)
    const file = names[Math.floor(random() * names.length)] ?? ''
    const bytes = readFileSync(join(folder, file))
    const [at, bit] = [Math.floor(random() * bytes.length), Math.floor(random() * 8)]
    bytes[at] = (bytes[at] ?? 0) ^ (1 << bit)
    writeFileSync(join(folder, file), bytes)
    const flip = await outcomeOf(folder, file)
    console.log(
      `flipped ${JSON.stringify({ ...flip, wrong: flip.wrong.map((what) => `bit ${bit} of ${at}: ${what}`) })}`,
    )
    rmSync(folder, { recursive: true })
  }
} finally {
  rmSync(parent, { recursive: true })
}
