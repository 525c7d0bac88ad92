import type { Registry } from '../../shared/registry/port.ts'
import { overriding } from '../../load-tests/reference/overriding.ts'

/** Known-wrong: a database whose collation takes `Pump-1` and `pump-1` for one name. */
export function foldingRegistry(registry: Registry): Registry {
  const fold = (text: string): string => text.toLowerCase()
  return overriding(registry, {
    createDevices: (devices) =>
      registry.createDevices(devices.map(({ tenant, device }) => ({ tenant: fold(tenant), device: fold(device) }))),
    pinFieldTypes: (fields) => registry.pinFieldTypes(fields.map((field) => ({ ...field, field: fold(field.field) }))),
  })
}
