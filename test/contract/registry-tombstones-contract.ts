import { describe, expect, it } from 'vitest'
import { openRegistry, type MakeRegistryHarness } from './registry-harness.ts'

const at = (ms: number, ns = 0) => ({ ms, ns })
const grave = { id: 'g1', tenant: 'acme', uid: 'pümp', stream: undefined, from: at(1000, 5), to: at(2000) }
const series = (device: string, stream = 'telemetry') => ({ tenant: 'acme', device, stream })
const name = { tenant: 'acme', device: 'pümp', log: 'l', partition: 0, offset: 7, lastSeenMs: 9 }
const float = (ms: number, value: number) => ({ time: at(ms), value, type: 'float' as const })

export function describeTombstones(engine: string, make: MakeRegistryHarness): void {
  describe(`${engine}: tombstones`, () => {
    it('cover their span of their device, what was received until they end, also after reopening', async () => {
      const harness = await make()
      const registry = await openRegistry(harness)
      const { tombstones } = registry
      const before = await tombstones.current()
      expect(before.isEmpty).toBe(true)
      expect(await tombstones.put(grave)).toEqual({ ...grave, receivedMs: undefined })
      expect(await tombstones.put(grave)).toEqual({ ...grave, receivedMs: undefined })
      const open = await tombstones.current()
      expect(await tombstones.current()).toBe(open)
      const covers = (time: { ms: number; ns: number }, received: number, of = series('pümp')) =>
        open.covers(of, time, received)
      expect([at(1000, 4), at(1000, 5), at(1999, 999_999), at(2000)].map((time) => covers(time, 1e12))).toEqual([
        ...[false, true, true, false],
      ])
      expect([series('pump'), series('pümp', 'other'), series('Pümp')].map((one) => covers(at(1500), 0, one))).toEqual([
        ...[false, true, false],
      ])
      const stream = 'one'
      await tombstones.put({ ...grave, id: 'g2', uid: 'b', stream })
      const closed = await tombstones.close('g1')
      const end = closed?.receivedMs ?? 0
      expect(await tombstones.close('g1')).toEqual(closed)
      expect(await tombstones.close('none')).toBeUndefined()
      expect(Date.now()).toBeGreaterThan(end)
      expect((await tombstones.current()).covers(series('pümp'), at(1500), end)).toBe(true)
      expect((await tombstones.current()).covers(series('pümp'), at(1500), end + 1)).toBe(false)
      expect(await tombstones.put(grave)).toEqual({ ...grave, receivedMs: end })
      await registry.close()
      const again = await (await openRegistry(harness)).tombstones.current()
      expect([...again.all].sort((a, b) => (a.id < b.id ? -1 : 1))).toEqual([
        { ...grave, receivedMs: end },
        { ...grave, id: 'g2', uid: 'b', stream, receivedMs: undefined },
      ])
      expect(again.covers(series('b', 'one'), at(1500), 1e12)).toBe(true)
      expect(again.covers(series('b', 'two'), at(1500), 1e12)).toBe(false)
    })

    it('take what they cover out of latest states, whose places in the log stay', async () => {
      const { tombstones, ...registry } = await openRegistry(await make()).then((it) => ({
        tombstones: it.tombstones,
        write: it.writeState.bind(it),
        read: it.readState.bind(it),
      }))
      const word = { time: at(1500), value: 'off', type: 'string' as const }
      const fields = {
        gone: float(1500, 1),
        kept: float(2000, 2),
        back: { ...word, lastNumber: float(900, 3) },
        all: { ...word, lastNumber: float(1400, 4) },
        word: { ...word, time: at(2500), lastNumber: float(1400, 5) },
      }
      await registry.write([
        { ...name, stream: 's', fields },
        { ...name, device: 'other', stream: 's', fields },
      ])
      const put = await tombstones.put(grave)
      await tombstones.clearLatest(put)
      await tombstones.clearLatest(put)
      const left = { kept: fields.kept, back: float(900, 3), word: { ...word, time: at(2500) } }
      expect(await registry.read('acme', 'pümp')).toEqual([{ ...name, stream: 's', fields: left }])
      expect(await registry.read('acme', 'other')).toEqual([{ ...name, device: 'other', stream: 's', fields }])
    })
  })
}
