import { describe, expect, it } from 'vitest'
import type { FieldDeclaration, FieldState, Registry, StreamState } from '../../shared/registry/port.ts'
import type { FieldType } from '../../shared/telemetry.ts'
import {
  createDevice,
  openRegistry,
  SIMILAR_FIELDS,
  SIMILAR_NAMES,
  type MakeRegistryHarness,
} from './registry-harness.ts'

const field = (value: FieldState['value'], type: FieldType, ns = 0): FieldState => ({
  time: { ms: 1, ns },
  value,
  type,
})

function state(offset: number, overrides: Partial<StreamState> = {}): StreamState {
  const fields = { offset: field(offset, 'integer') }
  const place = {
    log: 'l',
    partition: 0,
    offset,
    kept: `kept at ${offset}`,
    clock: `clock at ${offset}`,
    firstJson: `0/${offset}/l`,
  }
  return { tenant: 'acme', device: 'p1', stream: 's', fields, lastSeenMs: offset, ...place, ...overrides }
}

/** A row is replaced by one of a later position only: a replay after a crash never turns the state back. */
export async function checkStateNeverGoesBack(registry: Registry): Promise<void> {
  await registry.writeState([state(5)])
  await registry.writeState([state(3), state(4)])
  await registry.writeState([state(5, { lastSeenMs: 99 })])
  expect(await registry.readState('acme', 'p1')).toEqual([state(5)])
  await registry.writeState([state(7), state(6)])
  expect(await registry.readState('acme', 'p1')).toEqual([state(7)])
}

/** Field names that look alike have types of their own. */
export async function checkFieldsAreDistinct(registry: Registry): Promise<void> {
  const types: FieldType[] = ['float', 'integer', 'boolean', 'string']
  const declared = SIMILAR_FIELDS.map((name, index): FieldDeclaration => {
    return { tenant: 'acme', stream: 's', field: name, type: types[index % 4] ?? 'float' }
  })
  const expected = declared.map(({ type }) => type)
  expect(await registry.pinFieldTypes(declared)).toEqual(expected)
  const others = declared.map((one) => ({ ...one, type: one.type === 'float' ? 'string' : 'float' }) as const)
  expect(await registry.pinFieldTypes(others.toReversed())).toEqual(expected.toReversed())
}

export function describeState(name: string, make: MakeRegistryHarness): void {
  describe(`${name}: latest state`, () => {
    it('comes back as it was written, every kind of value, after reopening', async () => {
      const harness = await make()
      const registry = await openRegistry(harness)
      const fields = {
        float: field(21.5, 'float', 999_999),
        zero: field(-0, 'float'),
        tiny: field(5e-324, 'float'),
        integer: field(9_007_199_254_740_991, 'integer'),
        big: field(-9_223_372_036_854_775_808n, 'integer'),
        no: field(false, 'boolean'),
        text: field('"\\ \u0000 \ud800 12', 'string'),
        number: field('12', 'string'),
        ...Object.fromEntries(SIMILAR_FIELDS.map((one, index) => [one, field(index, 'float')])),
        ...Object.fromEntries(['__proto__', 'constructor', 'a.b', '"'].map((one) => [one, field(1, 'float')])),
      }
      const written = state(9_007_199_254_740_991, { fields, lastSeenMs: 9_223_372_036_854 })
      await registry.writeState([written])
      await registry.close()
      const [read] = await (await openRegistry(harness)).readState('acme', 'p1')
      expect(read).toEqual(written)
      expect(Object.keys(read?.fields ?? {})).toEqual(Object.keys(fields))
      expect(Object.is(read?.fields['zero']?.value, -0)).toBe(true)
    })

    it('has what its worker keeps, nothing or as much as it likes', async () => {
      const registry = await openRegistry(await make())
      const kept = `"\\ü`.repeat(100_000)
      await registry.writeState([
        state(1, { stream: 'a', kept: undefined, firstJson: undefined }),
        state(1, { stream: 'b', kept }),
      ])
      const states = await registry.readState('acme', 'p1')
      expect(states).toEqual([
        state(1, { stream: 'a', kept: undefined, firstJson: undefined }),
        state(1, { stream: 'b', kept }),
      ])
      await registry.writeState([state(2, { stream: 'a', kept }), state(2, { stream: 'b', kept: undefined })])
      expect((await registry.readState('acme', 'p1')).map((one) => one.kept)).toEqual([kept, undefined])
    })

    it('never goes back', async () => {
      await checkStateNeverGoesBack(await openRegistry(await make()))
    })

    it('of another partition replaces, for its positions do not compare', async () => {
      const registry = await openRegistry(await make())
      await registry.writeState([state(5)])
      await registry.writeState([state(2, { partition: 1 })])
      expect(await registry.readState('acme', 'p1')).toEqual([state(2, { partition: 1 })])
    })

    it('of another log replaces, though its positions are lower', async () => {
      const registry = await openRegistry(await make())
      await registry.writeState([state(5)])
      await registry.writeState([state(2, { log: 'made-anew' })])
      expect(await registry.readState('acme', 'p1')).toEqual([state(2, { log: 'made-anew' })])
      await registry.writeState([state(1, { log: 'made-anew' })])
      expect(await registry.readState('acme', 'p1')).toEqual([state(2, { log: 'made-anew' })])
    })

    it('is kept per tenant, device and stream, and read in the order asked', async () => {
      const registry = await openRegistry(await make())
      const rows = ['acme', 'Acme'].flatMap((tenant) =>
        SIMILAR_NAMES.flatMap((device) => ['s', 'S'].map((stream) => ({ tenant, device, stream }))),
      )
      const states = rows.map((row, index) => state(index, row))
      await registry.writeState(states)
      const missing = { tenant: 'acme', device: 'none', stream: 's' }
      const asked = [missing, ...rows.toReversed(), missing]
      expect(await registry.readStreams(asked)).toEqual([undefined, ...states.toReversed(), undefined])
      expect(await registry.readStreams([])).toEqual([])
      const ofDevice = await registry.readState('acme', 'pump-1')
      expect(ofDevice.map(({ stream }) => stream)).toEqual(['S', 's'])
    })

    it('takes more rows at once than any statement holds', async () => {
      const registry = await openRegistry(await make())
      const rows = Array.from({ length: 2500 }, (_, index) => state(index, { device: `d${index}` }))
      await registry.writeState(rows)
      expect(await registry.readStreams(rows)).toEqual(rows)
    })

    it('is written while others read and change', async () => {
      const registry = await openRegistry(await make())
      const writes = Array.from({ length: 20 }, (_, index) => registry.writeState([state(index)]))
      const creations = Array.from({ length: 20 }, (_, index) => createDevice(registry, `acme/d${index}`))
      await Promise.all([...writes, ...creations, registry.listDevices({ limit: 10 })])
      expect(await registry.readState('acme', 'p1')).toEqual([state(19)])
      expect((await registry.listDevices({ limit: 1000 })).items).toHaveLength(20)
    })
  })

  describe(`${name}: types of fields`, () => {
    it('are pinned by the first who declares them, and stay', async () => {
      const harness = await make()
      const registry = await openRegistry(harness)
      const one = { tenant: 'acme', stream: 's', field: 'a' } as const
      const types = await registry.pinFieldTypes([
        { ...one, type: 'integer' },
        { ...one, type: 'float' },
        { ...one, stream: 'S', type: 'string' },
        { ...one, tenant: 'Acme', type: 'boolean' },
      ])
      expect(types).toEqual(['integer', 'integer', 'string', 'boolean'])
      await registry.close()
      const again = await openRegistry(harness)
      expect(await again.pinFieldTypes([{ ...one, type: 'float' }])).toEqual(['integer'])
      expect(await again.pinFieldTypes([])).toEqual([])
    })

    it('belong to names that look alike each on their own', async () => {
      await checkFieldsAreDistinct(await openRegistry(await make()))
    })

    it('agree for all who declare at once', async () => {
      const registry = await openRegistry(await make())
      const declare = (type: FieldType) => registry.pinFieldTypes([{ tenant: 'a', stream: 's', field: 'f', type }])
      const answers = await Promise.all((['float', 'string', 'integer', 'boolean'] as const).map(declare))
      expect(new Set(answers.flat()).size).toBe(1)
    })

    it('of a name that is no text still have an answer', async () => {
      const registry = await openRegistry(await make())
      const declared: FieldDeclaration = { tenant: 'a', stream: 's', field: 'x\ud800', type: 'float' }
      expect(await registry.pinFieldTypes([declared, declared])).toEqual(['float', 'float'])
    })

    it('take more fields at once than any statement holds', async () => {
      const registry = await openRegistry(await make())
      const declared = Array.from({ length: 3000 }, (_, index): FieldDeclaration => {
        return { tenant: 'a', stream: `s${index % 3}`, field: `f${index}`, type: index % 2 === 0 ? 'float' : 'string' }
      })
      expect(await registry.pinFieldTypes(declared)).toEqual(declared.map(({ type }) => type))
    })
  })

  describe(`${name}: fields of devices`, () => {
    it('are known by tenant, uid and stream, counted by tenant, and go with the device', async () => {
      const harness = await make()
      const registry = await openRegistry(harness)
      await createDevice(registry, 'acme/p1')
      const one = { tenant: 'acme', device: 'p1', stream: 's', marks: ['abcdefgh', 'ABCDEFGH'] }
      const others = [
        { ...one, stream: 'S', marks: ['-_345678'] },
        { ...one, device: 'P1', marks: Array.from({ length: 10_000 }, (_unused, i) => String(i).padStart(8, '0')) },
        { ...one, tenant: 'Acme', marks: ['12345678'] },
      ]
      await registry.fields.write([{ ...one, marks: ['abcdefgh'] }])
      await registry.fields.write([one, ...others])
      await registry.fields.write([])
      await registry.close()
      const again = await openRegistry(harness)
      const found = await again.fields.of([
        { tenant: 'acme', device: 'p1' },
        { tenant: 'acme', device: 'none' },
        { tenant: 'Acme', device: 'p1' },
      ])
      expect(found).toHaveLength(3)
      expect(found).toEqual(expect.arrayContaining([one, others[0], others[2]]))
      expect(await again.fields.of([{ tenant: 'acme', device: 'P1' }])).toEqual([others[1]])
      expect(await again.fields.countOf('acme')).toBe(10_003)
      expect(await again.fields.countOf('nobody')).toBe(0)
      await again.removeDevice('acme', 'p1')
      expect(await again.fields.of([{ tenant: 'acme', device: 'p1' }])).toEqual([])
    })
  })
}
