import { readFileSync } from 'node:fs'
import { join } from 'node:path'
import { expect, it } from 'vitest'
import { simulate } from './kill-in-mid-load.ts'
import { startServer } from './server.ts'

const file = join(import.meta.dirname, '../../load-tests/data/seattle-weather-hourly.csv')

interface Readings {
  readonly series: readonly { readonly field: string; readonly points: readonly (readonly [string, number])[] }[]
  readonly next: string | null
}

it('a year of hourly weather goes through MQTT and comes back equal, row for row', async () => {
  const server = await startServer()
  const simulation = simulate(server, ['--devices', '1', '--from', file, '--time-column', 'date', '--verify', '--keep'])
  const verdict = await simulation.verdict
  const [header = '', ...lines] = readFileSync(file, 'utf8').trim().split('\n')
  expect(verdict).toMatchObject({ acked: lines.length, stored: lines.length, lost: 0, duplicated: 0, wrong: 0 })

  // Not by the simulator's own comparison: the file is rebuilt from what the API answers.
  const rows = new Map<string, Record<string, number>>()
  let cursor = ''
  do {
    const query = new URLSearchParams({ epoch: 'rfc3339', limit: '10000', ...(cursor === '' ? {} : { cursor }) })
    const headers = { authorization: `Bearer ${server.token}` }
    const response = await fetch(`${server.url}/v1/devices/${verdict.firstDevice}/readings?${query.toString()}`, {
      headers,
    })
    const page = (await response.json()) as Readings
    for (const { field, points } of page.series) {
      for (const [time, value] of points) rows.set(time, { ...rows.get(time), [field]: value })
    }
    cursor = page.next ?? ''
  } while (cursor !== '')

  const fields = header.split(',').slice(1)
  const expected = new Map(
    lines.map((line) => {
      const [date = '', ...values] = line.split(',')
      return [`${date}Z`, Object.fromEntries(fields.map((field, index) => [field, Number(values[index])]))] as const
    }),
  )
  expect(rows).toEqual(expected)
})
