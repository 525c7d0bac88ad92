import { spawn } from 'node:child_process'
import { once } from 'node:events'
import { createWriteStream, existsSync, mkdirSync, readFileSync, writeFileSync } from 'node:fs'
import { tmpdir } from 'node:os'
import { join, resolve } from 'node:path'
import { parseArgs } from 'node:util'
import { tableOf, type Result } from './e2e/cluster/results.ts'
import { SCENARIOS } from './e2e/cluster/scenarios.ts'

const { values } = parseArgs({
  options: {
    seeds: { type: 'string', default: '1-20' },
    lanes: { type: 'string', default: '3' },
    /** Seeds of one scenario that are run on the same servers and processes. */
    together: { type: 'string', default: '5' },
    /** Scenarios whose names hold this; known-wrong variants are called `variants`. */
    only: { type: 'string', default: '' },
    out: { type: 'string', default: join(tmpdir(), 'sluice-faults') },
  },
})
const root = join(import.meta.dirname, '..')
const out = resolve(values.out)
const resultFile = join(out, 'results.jsonl')
const tableFile = join(out, 'faults.md')

/** One run of vitest with servers of its own. */
interface Job {
  readonly name: string
  readonly args: readonly string[]
  readonly env: Readonly<Record<string, string>>
}

function jobs(): Job[] {
  const [first = 1, last = first] = values.seeds.split('-').map(Number)
  const together = Number(values.together)
  const names = Object.entries(SCENARIOS).filter(([name]) => name.includes(values.only))
  const all: Job[] = []
  // Some seeds of every scenario before the next ones of any: a run that is ended early has seen everything.
  for (let from = first; from <= last; from += together) {
    const seeds = `${from}-${Math.min(last, from + together - 1)}`
    for (const [name, file] of names) {
      const env = { SLUICE_FAULT_SCENARIO: name, SLUICE_FAULT_SEEDS: seeds }
      all.push({ name: `${name}, seeds ${seeds}`, args: [`test/e2e/cluster/${file}.cluster.test.ts`], env })
    }
  }
  if ('variants'.includes(values.only)) {
    for (const file of ['test/e2e/cluster/known-wrong.cluster', 'test/integration/log/kafka-leader-move.faults']) {
      all.push({ name: `variants, ${file}`, args: [`${file}.test.ts`], env: {} })
    }
  }
  return all
}

/** Resolves with whether the job's tests passed. */
async function run({ name, args, env }: Job, lane: number): Promise<boolean> {
  const log = createWriteStream(join(out, `${name.replace(/[^\w.-]+/g, '-')}.log`))
  const vitest = [join(root, 'node_modules/vitest/vitest.mjs'), 'run', '--config', 'vitest.faults.config.ts', ...args]
  const child = spawn(process.execPath, vitest, {
    cwd: root,
    env: { ...process.env, ...env, SLUICE_FAULT_RESULTS: resultFile, SLUICE_LANE: String(lane) },
    stdio: ['ignore', 'pipe', 'pipe'],
  })
  child.stdout.pipe(log, { end: false })
  child.stderr.pipe(log, { end: false })
  await once(child, 'close')
  log.end()
  process.stdout.write(`${new Date().toISOString()} ${child.exitCode === 0 ? 'passed' : 'FAILED'}: ${name}\n`)
  return child.exitCode === 0
}

function results(): Result[] {
  if (!existsSync(resultFile)) return []
  const lines = readFileSync(resultFile, 'utf8').trim().split('\n')
  return lines.map((line) => JSON.parse(line) as Result)
}

/** What ran before into the same folder counts, too: what failed can be repeated by itself. */
function writeTable(failed: readonly string[]): void {
  const variants = tableOf(results(), true)
  const failures = failed.length === 0 ? '' : `\nFailed:\n\n${failed.map((name) => `- ${name}`).join('\n')}\n`
  writeFileSync(
    tableFile,
    `${tableOf(results())}\n\nKnown-wrong variants, which must lose:\n\n${variants}\n${failures}`,
  )
}

/**
 * `npm run test:faults`: every fault with many seeds on real servers, several at a time, and a table at the end.
 * `--only`, `--seeds` and `--out` repeat parts of it.
 */
mkdirSync(out, { recursive: true })
const queue = jobs()
const failed: string[] = []
if (queue.length === 0) throw new Error(`no scenario's name holds "${values.only}"`)
process.stdout.write(`${queue.length} runs in ${values.lanes} lanes; logs and the table are in ${out}\n`)
const left = queue.values()
const work = async (lane: number) => {
  for (const job of left) {
    if (!(await run(job, lane))) failed.push(job.name)
    writeTable(failed)
  }
}
await Promise.all(Array.from({ length: Number(values.lanes) }, (_, lane) => work(lane)))
process.stdout.write(`\n${readFileSync(tableFile, 'utf8')}`)
process.exitCode = failed.length === 0 ? 0 : 1
