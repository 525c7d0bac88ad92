import { spawn } from 'node:child_process'
import { once } from 'node:events'
import { mkdtempSync, readFileSync, rmSync } from 'node:fs'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { createInterface } from 'node:readline'

/** All calls in the table of `strace -c`. */
export function parseCallCount(table: string): number {
  const rows = table.matchAll(/^\s*[\d.]+\s+[\d.]+\s+\d+\s+(\d+)\s+(?:\d+\s+)?(\w+)\s*$/gm)
  return [...rows].reduce((sum, [, calls, name]) => sum + (name === 'total' ? 0 : Number(calls)), 0)
}

/** System calls of a process, all its threads, while `work` runs; which takes several times as long as without. */
export async function countSystemCalls(pid: number, work: () => Promise<void>): Promise<number> {
  const folder = mkdtempSync(join(tmpdir(), 'sluice-calls-'))
  const file = join(folder, 'table')
  const tracer = spawn('strace', ['-c', '-f', '-o', file, '-p', String(pid)], { stdio: ['ignore', 'ignore', 'pipe'] })
  const gone = once(tracer, 'exit')
  try {
    await attached(tracer.stderr)
    await work()
  } finally {
    tracer.kill('SIGINT')
    await gone
  }
  const count = parseCallCount(readFileSync(file, 'utf8'))
  rmSync(folder, { recursive: true, force: true })
  return count
}

async function attached(stderr: NodeJS.ReadableStream): Promise<void> {
  const said: string[] = []
  for await (const line of createInterface({ input: stderr })) {
    said.push(line)
    // It is attached to every thread when it has said so of the first.
    if (line.includes('attached')) return void stderr.resume()
  }
  throw new Error(`strace cannot be attached: ${said.join(' ')}`)
}
