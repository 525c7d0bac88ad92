import { toSluiceError } from '../../shared/errors.ts'
import type { DeviceName } from '../../shared/registry/names.ts'
import type { ApiParts } from './api.ts'

/** Questions to the store at once: a thousand devices are made by one request. */
const AT_ONCE = 8

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

/** The devices, each with whether its name {@link isUsed}. */
export async function markUsed<T extends DeviceName>(
  options: ApiParts<'points' | 'logger'>,
  devices: readonly T[],
): Promise<(T & { readonly isUsed: boolean })[]> {
  const marked: (T & { readonly isUsed: boolean })[] = []
  for (let from = 0; from < devices.length; from += AT_ONCE) {
    const part = devices.slice(from, from + AT_ONCE)
    marked.push(...(await Promise.all(part.map(async (one) => ({ ...one, isUsed: await isUsed(options, one) })))))
  }
  return marked
}
