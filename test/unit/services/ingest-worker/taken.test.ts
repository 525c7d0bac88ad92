import fc from 'fast-check'
import { describe, expect, it } from 'vitest'
import { Taken } from '../../../../services/ingest-worker/taken.ts'
import { MAX_NOTE } from '../../../../shared/log/port.ts'
import { writeFrom, type From } from '../../../../shared/record.ts'
import type { LogRecord } from '../../../../shared/telemetry.ts'

function handedOn(from: From): LogRecord {
  return { key: 'a/b', value: new Uint8Array(), ms: 0, ns: 0, headers: { form: '1', from: writeFrom(from) } }
}

/** What one source hands on to one partition: some of its records, in order; each some times. */
const sequence = fc.uniqueArray(fc.tuple(fc.nat(20), fc.nat(4)), {
  maxLength: 30,
  selector: ([offset, element]) => offset * 10 + element,
})
/** Where each worker begins, and where it is killed; one begins where all before it was handed on. */
const cuts = fc.array(fc.tuple(fc.nat(30), fc.nat(30)), { maxLength: 4 })
const sources = fc.array(fc.tuple(sequence, cuts, fc.constantFrom('log', 'log.1', '')), { minLength: 1, maxLength: 4 })

/** The copies of one source as they may come: workers that are thought dead go on beside those that took over. */
function copiesOf(own: readonly (readonly [number, number])[], workers: readonly (readonly [number, number])[]) {
  const order = own.toSorted(([a, b], [c, d]) => a - c || b - d)
  let handedOnTo = 0
  const runs = workers.map(([begin, length]) => {
    const from = Math.min(begin, handedOnTo)
    const to = Math.min(order.length, from + length)
    handedOnTo = Math.max(handedOnTo, to)
    return order.slice(from, to)
  })
  return [...runs, order.slice(handedOnTo)]
}

describe('what was taken of records that were handed on', () => {
  it('takes each once, in order, whatever copies come and wherever its owner is killed', () => {
    fc.assert(
      fc.property(sources, fc.array(fc.nat(), { minLength: 200, maxLength: 200 }), fc.nat(9), (all, random, often) => {
        const queues = all.flatMap(([own, workers, log], partition) =>
          copiesOf(own, workers).map((run) => ({ log, partition, run: [...run] })),
        )
        // The runs of one source beside each other: of the later ones only what those before it have handed on.
        const records: LogRecord[] = []
        for (let at = 0; queues.some(({ run }) => run.length > 0); at += 1) {
          const open = queues.filter(({ run, partition }, i) => {
            return (
              run.length > 0 && !queues.slice(0, i).some((one) => one.partition === partition && one.run.length > 0)
            )
          })
          const { log, partition, run } = open[(random[at % 200] ?? 0) % open.length] ?? {
            log: '',
            partition: 0,
            run: [],
          }
          const [offset = 0, element = 0] = run.shift() ?? []
          records.push(handedOn({ log, partition, offset, element }))
        }
        let taken = new Taken()
        let note: string | undefined
        const first: string[] = []
        for (let at = 0; at < records.length; at += often + 1) {
          const run = records.slice(at, at + often + 1)
          // Killed behind it, and begun again at its beginning: it is judged alike.
          const looked = taken.look(run)
          expect(Taken.read(note).look(run)).toEqual(looked)
          note = looked.note ?? note
          taken = Taken.read(note)
          first.push(...run.flatMap((one, i) => (looked.repeats.has(i) ? [] : (one.headers?.['from'] ?? []))))
        }
        expect(first).toEqual([...new Set(records.map((one) => one.headers?.['from']))])
      }),
    )
  })

  it('changes nothing for records of the device itself', () => {
    const own = { key: 'a/b', value: new Uint8Array(), ms: 0, ns: 0, headers: undefined }
    const looked = new Taken().look([own, { ...own, headers: { topic: 't/a/b/telemetry/s' } }])
    expect([looked.repeats.size, looked.note]).toEqual([0, undefined])
  })

  it('fits into a position, and forgets the source that was silent for longest', () => {
    const taken = new Taken()
    const log = 'x'.repeat(22)
    const from = (partition: number) => handedOn({ log, partition, offset: 1_000_000_000, element: 3 })
    const { note = '' } = taken.look(Array.from({ length: 1000 }, (_, partition) => from(partition)))
    expect(note.length).toBeLessThanOrEqual(MAX_NOTE)
    expect(Taken.read(note).look([from(999), from(950)]).repeats.size).toBe(2)
    expect(Taken.read(note).look([from(0)]).repeats.size).toBe(0)
  })
})
