import type { Influxdb1 } from '../../load-tests/servers/influxdb1.ts'

/** By device, stream and field, by time in ms: the value. */
export type Values = Record<string, Record<string, unknown>>

const DEVICE_TAGS = ['device', 'host', 'entity_id', 'topic', 'name']

/** What InfluxDB 1.6 has of a database, by the names that Sluice gives. */
export async function valuesOfInfluxdb(influxdb: Influxdb1, database: string): Promise<Values> {
  const values: Values = {}
  for (const { name, tags = {}, columns, values: rows } of await influxdb.query(
    database,
    'SELECT * FROM /.*/ GROUP BY *',
  )) {
    const own = Object.entries(tags).filter(([, value]) => value !== '')
    const deviceTag = DEVICE_TAGS.find((tag) => own.some(([key]) => key === tag)) ?? ''
    const labels = own.filter(([key]) => key !== deviceTag).map(([key, value]) => `${key}=${JSON.stringify(value)}`)
    const suffix = labels.length === 0 ? '' : `{${labels.sort().join(',')}}`
    for (const [time, ...row] of rows) {
      for (const [index, value] of row.entries()) {
        if (value === null) continue
        const series = (values[`${tags[deviceTag]}/${name}/${columns[index + 1]}${suffix}`] ??= {})
        series[String(time)] = value
      }
    }
  }
  return values
}

interface Page {
  readonly series: readonly {
    readonly device: string
    readonly stream: string
    readonly field: string
    readonly points: readonly (readonly [time: number, value: unknown])[]
  }[]
  readonly next: string | null
}

/** What Sluice has of a tenant. */
export async function valuesOfSluice({ url, token }: { url: string; token: string }, tenant: string): Promise<Values> {
  const values: Values = {}
  for (let cursor: string | undefined, first = true; first || cursor !== undefined; first = false) {
    const query = new URLSearchParams({ epoch: 'ms', limit: '100000', ...(cursor === undefined ? {} : { cursor }) })
    const answer = await fetch(`${url}/v1/tenants/${tenant}/readings?${query.toString()}`, {
      headers: { authorization: `Bearer ${token}` },
    })
    if (!answer.ok) throw new Error(`${answer.status}: ${await answer.text()}`)
    const page = (await answer.json()) as Page
    for (const { device, stream, field, points } of page.series) {
      const series = (values[`${device}/${stream}/${field}`] ??= {})
      for (const [time, value] of points) series[time] = value
    }
    cursor = page.next ?? undefined
  }
  return values
}

/** All values of all series. */
export function countOf(values: Values): number {
  return Object.values(values).reduce((sum, series) => sum + Object.keys(series).length, 0)
}
