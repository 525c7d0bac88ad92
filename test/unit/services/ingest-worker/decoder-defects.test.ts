import { describe, expect, it, onTestFinished, vi } from 'vitest'
import { JsonDecoder } from '../../../../shared/decoders/json.ts'
import { World } from './harness.ts'

const T = 1_769_860_800_000

describe('a decoder that throws', () => {
  /** Throws for payloads with this mark, as often as told. */
  function failAt(mark: string, times: number): void {
    const decode: typeof JsonDecoder.prototype.decode = JsonDecoder.prototype.decode
    let left = times
    const spy = vi.spyOn(JsonDecoder.prototype, 'decode').mockImplementation(function (this: JsonDecoder, ...args) {
      const readings = decode.apply(this, args)
      // Behind the points that it has given already: they must not be stored half.
      if (Buffer.from(args[0].value).includes(mark) && left-- > 0) throw new TypeError('a defect')
      return readings
    })
    onTestFinished(() => spy.mockRestore())
  }

  it('costs its record only, which is a dead letter with the stack; the partition goes on', async () => {
    failAt('poison', Infinity)
    const world = new World()
    await world.publish([{ ts: T, n: 1 }, { ts: T + 1, poison: 2 }, { ts: T + 2, n: 3 }, '{not JSON'])
    const worker = await world.work()
    await world.publish([{ ts: T + 4, n: 5 }])
    await world.settled()
    expect(world.points.visible.size).toBe(3)
    expect(world.deadLetters()).toMatchObject([
      {
        code: 'decoder_failed',
        detail: expect.stringContaining('TypeError: a defect') as string,
        source: { offset: 1 },
      },
      { code: 'payload_not_json', source: { offset: 3 } },
    ])
    expect(worker.status()).toEqual({ ok: true })
    const faults = await worker.options.metrics.getSingleMetric('sluice_ingest_faults_total')?.get()
    expect(faults?.values).toContainEqual({ value: 1, labels: { code: 'decoder_failed' } })
  })

  it('once or twice only loses nothing', async () => {
    failAt('poison', 3)
    const world = new World()
    await world.publish([
      { ts: T, n: 1 },
      { ts: T + 1, poison: 2 },
    ])
    await world.work()
    await world.settled()
    expect(world.points.visible.size).toBe(2)
    expect(world.deadLetters()).toEqual([])
  })
})
