import { SluiceError } from '../../shared/errors.ts'
import type { DeviceName } from '../../shared/registry/names.ts'
import type { Device, Principal, Registry } from '../../shared/registry/port.ts'

/**
 * The device that readings are posted for, also by a former name that no other device has; made where the login of an
 * application may, as over MQTT. Error: `device_unknown`.
 */
export async function publisherOf(
  registry: Registry,
  principal: Principal | undefined,
  name: DeviceName,
): Promise<Device> {
  const { tenant, device } = name
  const { names } = registry
  if (principal?.kind === 'application' && !names.isKnown(tenant, device)) {
    await registry.admitDevice(principal.name, name)
  }
  const found = await registry.getDevice(tenant, device)
  if (found !== undefined) return found
  const renamed = await registry.getDevice(tenant, names.nameOf(tenant, names.uidOf(tenant, device)))
  if (renamed !== undefined) return renamed
  throw new SluiceError('device_unknown', `No such device: ${tenant}/${device}.`)
}
