import { parentPort, workerData } from 'node:worker_threads'
import type { Asked, Said } from '../process/thread-client.ts'
import { MAX_FAILURES, type CodecCalls, type CodecJob, type CodecThreadData } from './codec-calls.ts'
import { Sandbox, stopTheClock } from './sandbox.ts'

/** Engines in memory: each takes some MB. */
const MAX_SANDBOXES = 16

const { progress } = workerData as CodecThreadData
const begun = new Int32Array(progress)
const sandboxes = new Map<string, Sandbox>()
/** Failures in a row by codec. */
const failures = new Map<string, number>()

function say(message: Said<undefined, never>): void {
  parentPort?.postMessage(message)
}

/** The engine of a codec, or the answer where there is none. The one that was used longest ago makes room. */
async function sandboxOf(id: string, source: string): Promise<Sandbox | string> {
  const known = sandboxes.get(id)
  sandboxes.delete(id)
  const sandbox = known ?? (await Sandbox.open(source))
  if (typeof sandbox === 'string') return `E${sandbox}`
  sandboxes.set(id, sandbox)
  const [oldest = id] = sandboxes.keys()
  if (sandboxes.size > MAX_SANDBOXES) sandboxes.delete(oldest)
  return sandbox
}

async function run({ id, input, nowMs }: CodecJob, source: string): Promise<string> {
  Atomics.add(begun, 0, 1)
  const before = failures.get(id) ?? 0
  if (before >= MAX_FAILURES) return 'P'
  let answer: string
  try {
    const sandbox = await sandboxOf(id, source)
    answer = typeof sandbox === 'string' ? sandbox : sandbox.run(input, nowMs)
  } catch (error) {
    sandboxes.delete(id)
    answer = `L${error instanceof Error ? error.message : String(error)}`
  }
  if (answer.startsWith('D')) failures.delete(id)
  else failures.set(id, before + 1)
  return answer
}

async function answerTo({ question, ask }: Asked<CodecCalls>): Promise<unknown> {
  if (question === 'resume') failures.clear()
  if (question === 'check') {
    Atomics.add(begun, 0, 1)
    const opened = await Sandbox.open(ask)
    return typeof opened === 'string' ? opened : undefined
  }
  if (question !== 'run') return undefined
  const asked = ask
  const sources = new Map(asked.sources)
  const answers: string[] = []
  for (const job of asked.jobs) answers.push(await run(job, sources.get(job.id) ?? ''))
  return answers
}

let last: Promise<void> = Promise.resolve()
stopTheClock()
parentPort?.on('message', (asked: Asked<CodecCalls>) => {
  last = last.then(async () => {
    say({ kind: 'answer', id: asked.id, answer: await answerTo(asked) })
    if (asked.question === 'close') parentPort?.close()
  })
})
say({ kind: 'opened', opened: undefined })
