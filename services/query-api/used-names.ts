import { toSluiceError } from '../../shared/errors.ts'
import type { DeviceName } from '../../shared/registry/names.ts'
import type { DeviceToMake } from '../../shared/registry/port.ts'
import type { ApiParts } from './api.ts'

/** Questions to the store at once: a thousand devices are made by one request. */
const AT_ONCE = 8

type Wanted = Omit<DeviceToMake, 'isUsed' | 'adopt'> & { readonly adopt?: string | undefined }

/**
 * Whether something is stored under the name of a device that is to be made, of one that was removed long ago or that
 * nobody made. Yes where the store does not answer: the device gets another uid, and cannot have what is not its own.
 */
export async function isUsed(
  { points, logger }: ApiParts<'points' | 'logger'>,
  { tenant, device }: DeviceName,
): Promise<boolean> {
  try {
    return (await points.series(tenant, device)).length > 0
  } catch (error) {
    logger.warn({ code: toSluiceError(error).code }, 'a new device is not stored under its name, which may be in use')
    return true
  }
}

/** The devices, each with what the store says about it. Error: `store_unavailable` when a history is to be adopted. */
export async function markUsed(
  options: ApiParts<'points' | 'logger'>,
  devices: readonly Wanted[],
): Promise<DeviceToMake[]> {
  const marked: DeviceToMake[] = []
  for (let from = 0; from < devices.length; from += AT_ONCE) {
    marked.push(...(await Promise.all(devices.slice(from, from + AT_ONCE).map((one) => mark(options, one)))))
  }
  return marked
}

async function mark(options: ApiParts<'points' | 'logger'>, { adopt, ...device }: Wanted): Promise<DeviceToMake> {
  if (adopt === undefined) return { ...device, isUsed: await isUsed(options, device) }
  const series = await options.points.series(device.tenant, adopt)
  return { ...device, adopt: { history: adopt, isUsed: series.length > 0 } }
}
