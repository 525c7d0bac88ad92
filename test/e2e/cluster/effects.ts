import { setTimeout as delay } from 'node:timers/promises'
import type { Cluster } from '../../../load-tests/cluster/cluster.ts'

/** Seconds until every device's readings from now on can be queried. */
export async function recovery(cluster: Cluster, tenant: string): Promise<number> {
  const ended = Date.now()
  const names = await devicesOf(cluster, tenant)
  for (const device of names) {
    const path = `/v1/devices/${tenant}/${device}/readings?limit=1&from=${ended}`
    const isBack = async () => {
      const answer = await cluster.getIfThere<Readings>(path)
      return answer !== undefined && answer.series.length > 0
    }
    while (!(await isBack())) await delay(100)
  }
  return (Date.now() - ended) / 1000
}

async function devicesOf(cluster: Cluster, tenant: string): Promise<string[]> {
  const path = `/v1/devices?tenant=${tenant}&limit=100`
  type Answer = { devices: { device: string }[] }
  for (;;) {
    // Whatever the fault was, the API may need a moment.
    const answer = await cluster.getIfThere<Answer>(path)
    if (answer !== undefined) return answer.devices.map(({ device }) => device)
    await delay(100)
  }
}

/** Latest state is flushed behind the points, at the next checkpoint. */
const STALE_LIMIT_MS = 15_000

/** Devices whose latest state is not their newest reading. */
export async function staleDevices(cluster: Cluster, tenant: string): Promise<string[]> {
  const limit = Date.now() + STALE_LIMIT_MS
  let stale = await devicesOf(cluster, tenant)
  for (;;) {
    const checked = await Promise.all(stale.map(async (device) => !(await isNewest(cluster, `${tenant}/${device}`))))
    stale = stale.filter((_, index) => checked[index])
    if (stale.length === 0 || Date.now() > limit) return stale
    await delay(500)
  }
}

interface Readings {
  readonly series: readonly { readonly field: string; readonly points: readonly (readonly [number, unknown])[] }[]
}

interface Latest {
  readonly streams: readonly { readonly fields: Readonly<Record<string, { time: number; value: unknown }>> }[]
}

/** The state of each field is the one reading that is stored from its time on. */
async function isNewest(cluster: Cluster, device: string): Promise<boolean> {
  const { streams } = await cluster.get<Latest>(`/v1/devices/${device}/latest?epoch=us`)
  const states = streams.flatMap(({ fields }) => Object.entries(fields))
  if (states.length === 0) return false
  const checks = states.map(async ([field, { time, value }]) => {
    const from = Math.floor(time / 1000)
    const path = `/v1/devices/${device}/readings?epoch=us&limit=10&field=${field}&from=${from}`
    const { series } = await cluster.get<Readings>(path)
    const newest = series.flatMap(({ points }) => points).at(-1)
    return newest !== undefined && newest[0] === time && newest[1] === value
  })
  return (await Promise.all(checks)).every(Boolean)
}
