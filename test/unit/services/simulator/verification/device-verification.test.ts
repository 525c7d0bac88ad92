import { describe, expect, it } from 'vitest'
import { Ledger } from '../../../../../services/simulator/verification/ledger.ts'
import {
  isClean,
  MAX_DIFFERENCES,
  verifyDevice,
  type ReadingsAnswer,
  type Verdict,
} from '../../../../../services/simulator/verification/device-verification.ts'
import { generatedWorkload } from '../../../../../services/simulator/workload.ts'

const START_MS = Date.UTC(2026, 0, 1)
const READINGS = 50
const DEVICE = 1
const workload = generatedWorkload({ seed: 7, startMs: START_MS, stepUs: 1000 })

type Point = [unknown, unknown]
type Answer = Record<string, Point[]>

/** What an API that lost nothing answers. */
function honest(count = READINGS): Answer {
  const sequences = Array.from({ length: count }, (_, index) => index)
  const series = (field: string): Point[] =>
    sequences.map((sequence) => [workload.timeUs(sequence), workload.value(DEVICE, sequence, field)])
  return { seq: series('seq'), value: series('value') }
}

function acknowledged(count = READINGS): Ledger {
  const ledger = new Ledger({ devices: 2, startedAt: 0 })
  for (let sequence = 0; sequence < count; sequence += 1) ledger.markAcknowledged(DEVICE, sequence, sequence)
  return ledger
}

/** Verifies an answer that comes in pages of `pageSize` points, series after series. */
async function verify(answer: Answer, ledger = acknowledged(), pageSize = 1000): Promise<Verdict> {
  const all = Object.entries(answer).flatMap(([field, points]) => points.map((point) => ({ field, point })))
  const read = async (device: number, cursor: string | undefined): Promise<ReadingsAnswer> => {
    expect(device).toBe(DEVICE)
    const from = Number(cursor ?? 0)
    const page = all.slice(from, from + pageSize)
    const series = page.map(({ field, point }) => ({ stream: 'telemetry', field, points: [point] as const }))
    const done = from + pageSize >= all.length
    return { series, complete: done, next: done ? null : String(from + pageSize) }
  }
  return verifyDevice(DEVICE, { workload, ledger, read })
}

const clean = { stored: READINGS, lost: 0, duplicated: 0, wrong: 0, unexpected: 0 }

describe('an honest answer', () => {
  it.each([1, 7, 99, 1000])('is clean in pages of %i points', async (pageSize) => {
    const verdict = await verify(honest(), acknowledged(), pageSize)
    expect(verdict).toMatchObject(clean)
    expect(isClean(verdict)).toBe(true)
  })

  it('may hold readings that were sent and never acknowledged, or not', async () => {
    const ledger = acknowledged()
    ledger.markSent(DEVICE, READINGS)
    expect(await verify(honest(), ledger)).toMatchObject({ ...clean, unacknowledgedAbsent: 1 })
    expect(await verify(honest(READINGS + 1), ledger)).toMatchObject({ ...clean, unacknowledgedStored: 1 })
  })

  it('of nothing is clean when nothing was acknowledged', async () => {
    const verdict = await verify({}, new Ledger({ devices: 2, startedAt: 0 }))
    expect(verdict).toMatchObject({ ...clean, stored: 0 })
  })
})

describe('a tampered answer is found out', () => {
  const tampered: [string, (answer: Answer) => void, Partial<Verdict>][] = [
    ['a value a hundredth off', (it) => (it['value']![3]![1] = Number(it['value']![3]![1]) + 0.01), { wrong: 1 }],
    ['a value as text', (it) => (it['value']![3]![1] = String(it['value']![3]![1])), { wrong: 1 }],
    ['a value that is null', (it) => (it['value']![3]![1] = null), { wrong: 1 }],
    ['two values exchanged', (it) => exchange(it['value']!, 3, 40), { wrong: 2 }],
    ['a whole reading missing', (it) => Object.values(it).forEach((points) => points.splice(5, 1)), { lost: 1 }],
    ['the last reading missing', (it) => Object.values(it).forEach((points) => points.pop()), { lost: 1 }],
    ['one field of a reading missing', (it) => it['value']!.splice(5, 1), { wrong: 1 }],
    ['a whole field missing', (it) => delete it['value'], { wrong: READINGS }],
    ['everything missing', (it) => Object.keys(it).forEach((field) => delete it[field]), { lost: READINGS }],
    ['a point twice', (it) => it['value']!.push(it['value']![9]!), { duplicated: 1 }],
    ['a reading again at a time of its own', (it) => it['value']!.push([workload.timeUs(9) + 1, 4]), { unexpected: 1 }],
    ['a reading that was not sent', (it) => it['seq']!.push([workload.timeUs(READINGS), READINGS]), { unexpected: 1 }],
    ['a field that was not sent', (it) => (it['other'] = [[workload.timeUs(1), 4]]), { unexpected: 1 }],
    ['a time as text', (it) => (it['seq']![2]![0] = String(it['seq']![2]![0])), { unexpected: 1, wrong: 1 }],
    ['a time before the first', (it) => it['seq']!.push([workload.timeUs(0) - 1000, 0]), { unexpected: 1 }],
  ]

  it.each(tampered)('%s', async (_name, tamper, found) => {
    const answer = honest()
    tamper(answer)
    const verdict = await verify(answer, acknowledged(), 33)
    const bad = (found.lost ?? 0) + (found.wrong ?? 0) + (found.duplicated ?? 0)
    expect(verdict).toMatchObject({ ...clean, ...found, stored: READINGS - bad })
    expect(isClean(verdict)).toBe(false)
    expect(verdict.differences.length).toBeGreaterThan(0)
  })

  it('with the reading named, and at most 20 of them', async () => {
    const answer = honest()
    answer['value']!.splice(5, 1)
    const { differences } = await verify(answer)
    expect(differences).toEqual([{ device: DEVICE, sequence: 5, problem: 'wrong', detail: 'value is missing' }])
    expect((await verify({})).differences).toHaveLength(MAX_DIFFERENCES)
  })

  it('and a page that leads to itself ends', async () => {
    const page: ReadingsAnswer = { series: [], complete: false, next: 'same' }
    const verdict = await verifyDevice(DEVICE, { workload, ledger: acknowledged(), read: async () => page })
    expect(verdict.lost).toBe(READINGS)
  })
})

function exchange(points: Point[], a: number, b: number): void {
  const kept = points[a]![1]
  points[a]![1] = points[b]![1]
  points[b]![1] = kept
}
