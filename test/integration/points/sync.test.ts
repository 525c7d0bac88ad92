import { spawnSync } from 'node:child_process'
import { readFileSync } from 'node:fs'
import { fileURLToPath } from 'node:url'
import { join } from 'node:path'
import { describe, expect, it } from 'vitest'
import { tempFolder } from '../../helpers.ts'
import { startPoints } from './start-points.ts'

const canTrace = spawnSync('strace', ['-V']).status === 0
const NO_FSYNC = fileURLToPath(new URL('../../variants/no-fsync.ts', import.meta.url))

/** Of the answers `synced`, how many left while a write to the WAL was not behind a completed sync of it. */
function earlyAnswers(trace: string): { answers: number; early: number } {
  let [answers, early, written, begun, synced] = [0, 0, 0, 0, 0]
  for (const line of trace.split('\n')) {
    if (/pwrite64\(\d+<[^>]*raw\.db-wal>/.test(line)) written++
    else if (/\bf(data)?sync\(\d+<[^>]*raw\.db-wal>.*= 0/.test(line)) synced = written
    else if (/\bf(data)?sync\(\d+<[^>]*raw\.db-wal> <unfinished/.test(line)) begun = written
    else if (/f(data)?sync resumed>.*= 0/.test(line)) synced = begun
    else if (/write\(1<.*"synced\\n"/.test(line)) {
      answers++
      if (synced < written) early++
    }
  }
  return { answers, early }
}

async function traceSyncs(preload: string[]): Promise<{ answers: number; early: number }> {
  const folder = tempFolder()
  const trace = join(folder, 'trace')
  const child = startPoints(join(folder, 'points'), {
    wrap: ([node = '', ...args]) => {
      const strace = ['strace', '-f', '-y', '-o', trace, '-e', 'trace=write,pwrite64,fsync,fdatasync']
      return [...strace, node, ...preload, ...args]
    },
  })
  await child.next(/^ready$/)
  for (let n = 0; n < 10; n++) {
    child.send(`write ${n} 5`)
    child.send('sync')
    await child.next(/^synced$/)
  }
  child.send('close')
  await child.next(/^closed$/)
  return earlyAnswers(readFileSync(trace, 'utf8'))
}

describe('a sync', () => {
  it.skipIf(!canTrace)('answers behind a completed sync of all written before (needs strace)', async () => {
    expect(await traceSyncs([])).toEqual({ answers: 10, early: 0 })
  })

  it.skipIf(!canTrace)('is seen when it syncs nothing (needs strace)', async () => {
    expect((await traceSyncs(['--import', NO_FSYNC])).early).toBeGreaterThan(0)
  })
})
