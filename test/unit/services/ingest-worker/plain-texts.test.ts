import fc from 'fast-check'
import { describe, expect, it } from 'vitest'
import { withMethods } from '../../../../load-tests/reference/overriding.ts'
import type { StreamState } from '../../../../shared/registry/port.ts'
import { formatRevision } from '../../../../shared/policies/revision.ts'
import { World } from './harness.ts'
import { mortal, type Ports } from './mortal.ts'

const TEXT = 'ON'
const JSON_READING = '{"temperature":21.5}'
/** Values without a name, which are no JSON object and no text that could be meant otherwise; and one that gives nothing. */
const OTHERS = ['21.5', '"on"', '[1,2]', 'telemetry a=1', 'nan']
const KINDS = [TEXT, TEXT, JSON_READING, ...OTHERS]
const SMALL = {
  INGEST_BATCH_RECORDS: '4',
  INGEST_WRITE_POINTS: '3',
  INGEST_CHECKPOINT_RECORDS: '5',
  INGEST_CLOSE_MS: '1',
}

interface Sent {
  readonly stream: 'x' | 'y'
  readonly payload: string
}

const sent = fc.array(fc.record({ stream: fc.constantFrom('x', 'y'), payload: fc.constantFrom(...KINDS) }), {
  minLength: 1,
  maxLength: 40,
})

async function publish(world: World, messages: readonly Sent[]): Promise<void> {
  for (const { stream, payload } of messages) {
    await world.publish([payload], 'demo/first', `t/demo/first/telemetry/${stream}`)
  }
}

/** Offsets of what was refused, each once. */
function refused(world: World): number[] {
  const letters = world.deadLetters().filter(({ code }) => code === 'payload_not_json')
  return [...new Set(letters.map(({ source }) => source?.offset ?? -1))].sort((a, b) => a - b)
}

function texts(world: World): number {
  return [...world.points.visible.values()].filter((value) => value === TEXT).length
}

/** Offsets of texts behind the first JSON of their stream. */
function expected(messages: readonly Sent[]): number[] {
  const carried = new Set<string>()
  return messages.flatMap(({ stream, payload }, offset) => {
    if (payload === JSON_READING) carried.add(stream)
    return payload === TEXT && carried.has(stream) ? [offset] : []
  })
}

describe('a text on a stream that has carried JSON', () => {
  it('is a letter, and one from before is stored, whatever lies in between, in whatever batches', async () => {
    const check = async (messages: readonly Sent[], batch: number) => {
      const world = new World()
      await publish(world, messages)
      const worker = await world.work({}, { ...SMALL, INGEST_BATCH_RECORDS: String(batch) })
      await world.settled()
      await worker.close()
      const letters = expected(messages)
      expect(refused(world)).toEqual(letters)
      expect(texts(world)).toBe(messages.filter(({ payload }) => payload === TEXT).length - letters.length)
    }
    await fc.assert(fc.asyncProperty(sent, fc.integer({ min: 1, max: 50 }), check), { numRuns: 40 })
  })

  it('is a letter after a restart, too', async () => {
    const world = new World()
    await world.publish([TEXT, JSON_READING])
    const first = await world.work({}, SMALL)
    await world.settled()
    await first.close()
    await world.publish(['21.5', TEXT])
    await world.work({}, SMALL)
    await world.settled()
    expect(refused(world)).toEqual([3])
  })

  it('is stored where the policy says so', async () => {
    const world = new World()
    const { id } = await world.registry.policies.put({
      scope: 'demo',
      document: { plain_text: 'always' },
      from: 0,
      who: 'admin',
    })
    const headers = { rv: formatRevision(id, '') ?? '' }
    const records = [JSON_READING, TEXT].map((text, i) => {
      return { key: 'demo/first', value: Buffer.from(text), ms: 1_769_860_800_000 + i, ns: 0, headers }
    })
    await world.log.append('telemetry.raw', records)
    await world.work({}, SMALL)
    await world.settled()
    expect([refused(world), texts(world)]).toEqual([[], 1])
  })
})

const HISTORY: readonly Sent[] = [TEXT, TEXT, JSON_READING, TEXT, '21.5', TEXT, JSON_READING, TEXT].flatMap(
  (payload) => [
    { stream: 'x' as const, payload },
    { stream: 'y' as const, payload: payload === TEXT ? '1' : payload },
  ],
)

/** A worker until it is killed at its so-manieth call to a port, a power cut, and another worker; what was refused. */
async function killedAt(at: number, lost: boolean, broken: (ports: Ports) => Ports): Promise<unknown> {
  const world = new World()
  await publish(world, HISTORY)
  const { ports, killed } = mortal(broken(world), at, lost)
  const first = await world.work(ports, SMALL)
  await Promise.race([killed, world.settled()])
  await first.close()
  world.points.crash()
  await world.work(broken(world), SMALL)
  await world.settled()
  return [refused(world), texts(world)]
}

const MOMENTS = Array.from({ length: 20 }, (_, i) => ({ at: 1 + (i >> 1), lost: i % 2 === 0 }))
const TRUE_END = [expected(HISTORY), 2]

describe('what becomes of a text is the same when it is read again', () => {
  it.each(MOMENTS)('after a kill at call $at, effect lost: $lost', async ({ at, lost }) => {
    expect(await killedAt(at, lost, (ports) => ports)).toEqual(TRUE_END)
  })

  it('would not be, if it were kept that there was JSON, and not where (known wrong)', async () => {
    const forgetful = (ports: Ports): Ports => {
      const { registry } = ports
      const anywhere = (row: StreamState): StreamState =>
        row.firstJson === undefined ? row : { ...row, firstJson: row.firstJson.replace(/^(\d+)\/\d+/, '$1/0') }
      const writeState: typeof registry.writeState = (rows) => registry.writeState(rows.map(anywhere))
      return { ...ports, registry: withMethods(registry, { writeState }) }
    }
    const ends: unknown[] = []
    for (const { at, lost } of MOMENTS) ends.push(await killedAt(at, lost, forgetful))
    expect(ends).not.toEqual(MOMENTS.map(() => TRUE_END))
  })
})
