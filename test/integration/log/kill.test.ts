import { join } from 'node:path'
import { describe, expect, it } from 'vitest'
import { openSqliteLog } from '../../../shared/log/sqlite/open.ts'
import { createLogger } from '../../../shared/process/logger.ts'
import { createMetrics } from '../../../shared/process/metrics.ts'
import { tempFolder } from '../../helpers.ts'
import { startLogProcess } from './log-process.ts'

/** Files of 3 MiB: the load of the test, at most 15 MB, begins new ones again and again and never fills the log. */
const BYTES = 24 * 1024 * 1024

async function textsIn(folder: string): Promise<string[]> {
  const log = await openSqliteLog({
    folder,
    partitions: 1,
    retention: { bytes: BYTES },
    logger: createLogger('silent'),
    metrics: createMetrics({ defaults: false }),
  })
  const texts: string[] = []
  const options = { topic: 'telemetry.raw' as const, partition: 0, maxRecords: 1000, follow: false }
  for await (const { records, firstOffset } of log.read({
    ...options,
    from: { offset: 0 },
    signal: new AbortController().signal,
  })) {
    expect(firstOffset).toBe(texts.length)
    texts.push(...records.map(({ value }) => Buffer.from(value).toString().split(':')[0] ?? ''))
  }
  await log.close()
  return texts
}

/** Appends until `acks` are there with more under way, kills the process, and returns the ledger of acked names. */
async function runUntilKilled(folder: string, round: number, acks: number, variant?: 'early'): Promise<string[]> {
  const child = startLogProcess(folder, { bytes: BYTES, ...(variant === undefined ? {} : { variant }) })
  await child.next(/^ready$/)
  for (let i = 0; i < acks + 60; i++) child.send(`append ${round}-${i} ${1 + (i % 9)} ${20 + ((i * 997) % 9000)}`)
  for (let i = 0; i < acks; i++) expect(await child.next(/^(acked|failed)/)).toMatch(/^acked/)
  await child.kill()
  return child.lines.filter((line) => line.startsWith('acked ')).map((line) => line.slice('acked '.length))
}

function missing(acked: readonly string[], found: readonly string[]): string[] {
  const present = new Set(found)
  return acked.filter((name) => {
    const records = 1 + (Number(name.split('-')[1]) % 9)
    return !Array.from({ length: records }, (_, i) => `${name}/${i}`).every((text) => present.has(text))
  })
}

describe('kill -9 in mid-append', () => {
  it('loses nothing that was acknowledged, and keeps each append whole and once', async () => {
    const folder = join(tempFolder(), 'log')
    const ledger: string[] = []
    for (let round = 0; round < 5; round++) {
      ledger.push(...(await runUntilKilled(folder, round, 7 + round * 31)))
      const found = await textsIn(folder)
      expect(missing(ledger, found)).toEqual([])
      expect(new Set(found).size).toBe(found.length)
      const names = [...new Set(found.map((text) => text.split('/')[0] ?? ''))]
      expect(missing(names, found)).toEqual([])
      // What one process appended is there in its order, up to the kill.
      const own = names.filter((name) => name.startsWith(`${round}-`))
      expect(own).toEqual(own.map((_, i) => `${round}-${i}`))
    }
  })

  it('sees an acknowledgement that comes too early', async () => {
    let lost = 0
    // Early acknowledgements are lost only when the kill comes in between: bounded attempts.
    for (let round = 0; round < 10 && lost === 0; round++) {
      const folder = join(tempFolder(), 'log')
      lost = missing(await runUntilKilled(folder, round, 200, 'early'), await textsIn(folder)).length
    }
    expect(lost).toBeGreaterThan(0)
  })
})

describe('two processes on one folder', () => {
  it('the second fails at once, the first goes on; a killed one leaves no lock', async () => {
    const folder = join(tempFolder(), 'log')
    const first = startLogProcess(folder)
    await first.next(/^ready$/)
    const second = startLogProcess(folder)
    expect(await second.next(/./)).toBe('failed open data_locked')
    await second.ended()
    first.send('append one')
    expect(await first.next(/one/)).toBe('acked one')
    await first.kill()
    const third = startLogProcess(folder)
    expect(await third.next(/./)).toBe('ready')
    third.send('close')
    await third.next(/^closed$/)
    expect(await textsIn(folder)).toEqual(['one/0'])
  })
})
