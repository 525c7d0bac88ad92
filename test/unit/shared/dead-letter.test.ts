import fc from 'fast-check'
import { describe, expect, it } from 'vitest'
import {
  deadLetterToRecord,
  faultsOf,
  isReplayable,
  kindOf,
  LETTER_ROOM_BYTES,
  recordToDeadLetter,
  type DeadLetter,
} from '../../../shared/dead-letter.ts'
import { ERRORS, type ErrorCode } from '../../../shared/errors.ts'
import { Faults } from '../../../shared/faults.ts'
import type { LogRecord } from '../../../shared/telemetry.ts'

const code = fc.constantFrom(...(Object.keys(ERRORS) as ErrorCode[]))
const fault = fc.record({
  element: fc.option(fc.nat(9999)),
  path: fc.option(fc.string({ unit: 'binary', maxLength: 256 })),
  code,
  detail: fc.string({ unit: 'binary', maxLength: 600 }),
})

const letter: DeadLetter = {
  stage: 'decode',
  code: 'value_unsupported',
  detail: 'an array',
  who: 'demo/first',
  topic: 't/demo/first/telemetry/x',
  key: 'demo/first',
  payload: Buffer.from('{"a":[1]}'),
  headers: { topic: 't/demo/first/telemetry/x' },
  ms: 1_769_860_800_000,
  ns: 5,
  scheme: 1,
  source: { partition: 2, offset: 7 },
  firstFailedMs: 1_769_860_800_001,
  attempts: 1,
}

function bytesOf({ headers }: LogRecord): number {
  return Object.entries(headers ?? {}).reduce((sum, [name, text]) => sum + Buffer.byteLength(name + text) + 8, 0)
}

it('a letter with faults is read as it was written, and stays within its room', () => {
  fc.assert(
    fc.property(fc.array(fault, { minLength: 1, maxLength: 150 }), (list) => {
      const faults = Faults.of(list)
      const written = { ...letter, faults }
      const record = deadLetterToRecord(written)
      expect(bytesOf(record)).toBeLessThan(LETTER_ROOM_BYTES)
      expect(record.value).toBe(letter.payload)
      const read = recordToDeadLetter(record)
      expect(read).toEqual({ ...written, kind: 'fault', faults: expect.anything() as Faults })
      const listed = read?.faults?.first ?? []
      expect(listed).toEqual(
        faults.first.slice(0, listed.length).map((one) => ({ ...one, detail: one.detail.slice(0, 500) })),
      )
      expect(listed.length).toBeGreaterThan(0)
      expect(read?.faults?.counts).toEqual(faults.counts)
    }),
    { numRuns: 200 },
  )
})

describe('letters of the version before, one for each reading', () => {
  const headers = {
    ...{ stage: 'decode', code: 'value_unsupported', detail: 'an array', who: 'demo/first' },
    ...{ failed: '1769860800001', attempts: '1', source: '2/7/3', topic: 't/demo/first/telemetry' },
  }
  const record = { key: 'demo/first', value: Buffer.from('{"a":[1]}'), ms: 5, ns: 0, headers }

  it('are read, with their reading as the only fault', () => {
    const read = recordToDeadLetter(record)
    expect(read).toMatchObject({ source: { partition: 2, offset: 7, element: 3 }, code: 'value_unsupported' })
    expect(read === undefined ? [] : faultsOf(read).first).toEqual([
      { element: 3, path: null, code: 'value_unsupported', detail: 'an array' },
    ])
    expect(read === undefined ? undefined : [kindOf(read), isReplayable(read)]).toEqual(['fault', false])
  })

  it('are of the kind that their stage says', () => {
    const kinds = ['connect', 'publish', 'store', 'clock'].map((stage) => {
      const read = recordToDeadLetter({ ...record, headers: { ...headers, stage } })
      return read === undefined ? undefined : kindOf(read)
    })
    expect(kinds).toEqual(['refusal', 'refusal', 'fault', 'warning'])
  })
})

it('a process of the version before finds all that it reads in a letter of today', () => {
  const { headers } = deadLetterToRecord({
    ...letter,
    faults: Faults.of([{ element: 4, path: 'a', code: 'value_unsupported', detail: 'an array' }]),
  })
  expect(headers).toMatchObject({
    ...{ stage: 'decode', code: 'value_unsupported', detail: 'an array', who: 'demo/first' },
    ...{ source: '2/7/4', topic: letter.topic, failed: '1769860800001', attempts: '1' },
  })
})

it('whole records can be replayed; refusals, warnings and what was cut cannot', () => {
  const faults = Faults.of([{ element: 0, path: 'a', code: 'value_unsupported', detail: '' }])
  expect(isReplayable({ ...letter, faults })).toBe(true)
  expect(isReplayable({ ...letter, faults, isCut: true })).toBe(false)
  expect(isReplayable({ ...letter, stage: 'publish', source: undefined })).toBe(false)
  expect(isReplayable({ ...letter, stage: 'clock', source: undefined })).toBe(false)
  expect(recordToDeadLetter(deadLetterToRecord({ ...letter, faults, isCut: true }))?.isCut).toBe(true)
})

it('headers that are no JSON, or that a newer version wrote, hide no letter', () => {
  const record = deadLetterToRecord({ ...letter, faults: Faults.of([]) })
  for (const faults of ['nonsense', '5', '[{"element":0,"path":"a","code":"code_of_2030","detail":""}]']) {
    const read = recordToDeadLetter({ ...record, headers: { ...record.headers, faults, headers: '{' } })
    expect(read).toMatchObject({ code: 'value_unsupported' })
  }
})
