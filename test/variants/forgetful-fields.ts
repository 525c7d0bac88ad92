import type { DeviceFields } from '../../shared/registry/fields-port.ts'

/** Known wrong: which fields a device has is known to the process alone, so each start gives it as many again. */
export const FORGETFUL_FIELDS: DeviceFields = {
  of: async () => [],
  write: async () => {},
  countOf: async () => 0,
}
