import { readFileSync } from 'node:fs'
import { join } from 'node:path'
import { describe, expect, it } from 'vitest'
import { csvWorkload, type CsvWorkload } from '../../../../services/simulator/csv-workload.ts'

const options = { timeColumn: 'time', timeZone: undefined }

function payloads(workload: CsvWorkload): unknown[] {
  return Array.from({ length: workload.length }, (_, sequence): unknown =>
    JSON.parse(Buffer.from(workload.payload(0, sequence), 'latin1').toString('utf8')),
  )
}

describe('rows as readings', () => {
  it('keep numbers as they are written, and leave empty cells out', () => {
    const workload = csvWorkload(
      'time,a,b,c,d\n2026-01-01T00:00:00Z,4.0,true,x,+.5\n1767225601,,false,2,1e3\n',
      options,
    )
    expect(workload.payload(0, 0)).toBe('{"ts":"2026-01-01T00:00:00Z","a":4.0,"b":true,"c":"x","d":0.5}')
    expect(workload.payload(9, 1)).toBe('{"ts":1767225601,"b":false,"c":"2","d":1e3}')
    expect([0, 1].map((sequence) => workload.timeUs(sequence))).toEqual([1767225600e6, 1767225601e6])
    expect(workload.fields.map((field) => workload.value(0, 1, field))).toEqual([undefined, false, '2', 1000])
    expect(workload.sequenceAt(1767225601e6)).toBe(1)
    expect(workload.zoneAssumed).toBe(false)
  })

  it('hold text that is not ASCII as UTF-8, and whole numbers beyond 2^53 as text', () => {
    const workload = csvWorkload('time,Öl,n\n1,"é""\n",9007199254740993\n', options)
    expect(payloads(workload)).toEqual([{ ts: 1, Öl: 'é"\n', n: '9007199254740993' }])
  })

  it('without any value are left out and counted', () => {
    const { rows, emptyRows } = csvWorkload('time,a\n1,2\n2,\n', options)
    expect({ rows, emptyRows }).toEqual({ rows: 1, emptyRows: 1 })
  })

  it.each([
    ['date,a\n1,2', 'no column "time"; it has date, a'],
    ['time,a\n1,2\n1,3', 'line 3: the time 1 is a repetition'],
    ['time,a\n2026-01-01T01:00:00+01:00,2\n2026-01-01T00:00:00Z,3', 'line 3'],
    ['time,a\nyesterday,2', 'line 2: "yesterday" is not a time'],
    ['time\n1', 'no column other than the time'],
    ['time,ts\n1,2', 'column "ts"'],
    ['time,_a\n1,2', 'column "_a"'],
    ['time,a,a\n1,2,3', 'column "a": the name is used twice'],
    ['time,\n1,2', 'needs a name'],
  ])('%j is refused', (text, message) => {
    expect(() => csvWorkload(text, options)).toThrow(message)
  })

  it('of the weather file are all there, in UTC unless a zone is given', () => {
    const file = join(import.meta.dirname, '../../../../load-tests/data/seattle-weather-hourly.csv')
    const text = readFileSync(file, 'utf8')
    const utc = csvWorkload(text, { timeColumn: 'date', timeZone: undefined })
    expect(utc).toMatchObject({ length: 8759, zoneAssumed: true, fields: ['pressure', 'temperature', 'wind'] })
    expect(utc.payload(0, 0)).toBe('{"ts":"2010-01-01T01:00:00Z","pressure":1016.6,"temperature":4.0,"wind":3.8}')
    const seattle = csvWorkload(text, { timeColumn: 'date', timeZone: '-08:00' })
    expect(seattle.timeUs(0) - utc.timeUs(0)).toBe(8 * 3600e6)
    expect(seattle.zoneAssumed).toBe(false)
  })
})
