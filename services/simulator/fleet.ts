import { devicePath, type ApiClient } from '../../shared/api-client.ts'

/** A device with the secret that it logs in with, as the API answers when it makes one. */
export interface FleetDevice {
  readonly tenant: string
  readonly device: string
  readonly username: string
  readonly secret: string
}

/** Most devices that the API makes at once. */
const BULK = 1000
/** Removals at the same time. */
const REMOVALS = 8

/** Makes `count` devices named `{prefix}-00001` and so on. Errors: those of the API. */
export async function registerFleet(
  api: ApiClient,
  { tenant, prefix, count }: { tenant: string; prefix: string; count: number },
): Promise<FleetDevice[]> {
  const made: FleetDevice[] = []
  while (made.length < count) {
    const size = Math.min(BULK, count - made.length)
    const devices = Array.from({ length: size }, (_, index) => ({
      tenant,
      device: `${prefix}-${String(made.length + index + 1).padStart(5, '0')}`,
      tags: { origin: 'simulate' },
    }))
    const answer = await api.post<{ devices: FleetDevice[] }>('/v1/devices/bulk', { devices })
    made.push(...answer.devices)
  }
  return made
}

/** Removes the devices; their readings stay. Errors: those of the API. */
export async function removeFleet(api: ApiClient, fleet: readonly FleetDevice[]): Promise<void> {
  const left = fleet.values()
  const removeNext = async () => {
    for (const { tenant, device } of left) await api.delete(devicePath(tenant, device))
  }
  await Promise.all(Array.from({ length: REMOVALS }, removeNext))
}
