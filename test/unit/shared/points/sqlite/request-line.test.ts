import { Registry } from 'prom-client'
import { describe, expect, it } from 'vitest'
import { SluiceError } from '../../../../../shared/errors.ts'
import { PointsMetrics } from '../../../../../shared/points/points-metrics.ts'
import type { PointsThread } from '../../../../../shared/points/sqlite/messages.ts'
import { RequestLine } from '../../../../../shared/points/sqlite/request-line.ts'
import { SealMetrics } from '../../../../../shared/points/sqlite/seal-metrics.ts'
import type { PointBatch } from '../../../../../shared/telemetry.ts'

/** As many points as may be on their way: the next call waits. */
const FULL = 1_000_000
const series = { tenant: 'a', device: 'b', stream: 's', field: 'f', type: 'float' } as const

function batchOf(points: number): PointBatch {
  const zeros = new Array<number>(points).fill(0)
  return { series: new Array<typeof series>(points).fill(series), ms: zeros, ns: zeros, values: zeros }
}

/** A thread that answers when the test says so. */
function openLine() {
  const asked: string[] = []
  const answers: ((error?: SluiceError) => void)[] = []
  const ask = (question: string): Promise<unknown> => {
    asked.push(question)
    const answer = Promise.withResolvers<unknown>()
    answers.push((error) => {
      if (error === undefined) answer.resolve(question === 'write' ? { conflicts: [], rawPoints: 0 } : undefined)
      else answer.reject(error)
    })
    return answer.promise
  }
  const thread = { ask, close: () => ask('close') } as unknown as PointsThread
  const metrics = new Registry()
  return { line: new RequestLine(thread, new PointsMetrics(metrics), new SealMetrics(metrics)), asked, answers }
}

const turn = (): Promise<void> => new Promise((resolve) => setImmediate(resolve))

describe('the line of requests', () => {
  it('posts at once while there is room', () => {
    const { line, asked } = openLine()
    void line.write(batchOf(1))
    void line.ask('sync', undefined)
    expect(asked).toEqual(['write', 'sync'])
  })

  it('lets nothing overtake what waits for room', async () => {
    const { line, asked, answers } = openLine()
    const writes = [line.write(batchOf(FULL)), line.write(batchOf(1))]
    const synced = line.ask('sync', undefined)
    const closed = line.close()
    expect(asked).toEqual(['write'])
    answers[0]?.()
    await turn()
    expect(asked).toEqual(['write', 'write', 'sync', 'close'])
    for (const answer of answers.slice(1)) answer()
    await Promise.all([...writes, synced, closed])
  })

  it('goes on when a request failed', async () => {
    const { line, asked, answers } = openLine()
    const failed = line.write(batchOf(FULL))
    void line.ask('sync', undefined)
    answers[0]?.(new SluiceError('disk_full', 'no room'))
    await expect(failed).rejects.toMatchObject({ code: 'disk_full' })
    expect(asked).toEqual(['write', 'sync'])
  })

  it('takes nothing after the close', async () => {
    const { line, asked, answers } = openLine()
    const closed = line.close()
    await expect(line.ask('sync', undefined)).rejects.toMatchObject({ code: 'closed' })
    answers[0]?.()
    await closed
    expect(asked).toEqual(['close'])
  })
})
