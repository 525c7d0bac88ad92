import { onTestFinished } from 'vitest'
import type { NewCredentials } from '../../shared/registry/names.ts'
import type { Registry } from '../../shared/registry/port.ts'

/** One set of data, which each test gets anew and may open several times, one after the other. */
export interface RegistryHarness {
  /** With the same credential key each time, unless another is given (32 bytes). */
  open(credentialKey?: Buffer): Promise<Registry>
}

export type MakeRegistryHarness = () => Promise<RegistryHarness>

export async function openRegistry(harness: RegistryHarness, credentialKey?: Buffer): Promise<Registry> {
  const registry = await harness.open(credentialKey)
  onTestFinished(() => registry.close())
  return registry
}

/** Names that some database takes for equal, or that are parted at the wrong place. */
export const SIMILAR_NAMES = [
  ...['pump-1', 'Pump-1', 'pump_1', 'pump-1.', 'pump-1 ', ' pump-1', 'pump-1/', 'pump-1/s', 'pump%1', 'pump\\'],
  ...['pümp-1', 'pu\u0308mp-1', 'Straße', 'Strasse', 'ﬁ', 'fi', '😀', '😁', 'x'.repeat(128), `${'x'.repeat(127)}y`],
]

/** Field names, which are free text. */
export const SIMILAR_FIELDS = [
  'temp',
  'Temp',
  'témp',
  'te\u0301mp',
  'temp ',
  ' temp',
  'temp\u00a0',
  'temp/x',
  "te'mp",
  'temp%',
  'temp\u0000',
  'temp\u0000x',
  'te\nmp',
  'x'.repeat(1024),
  `${'x'.repeat(1023)}y`,
  'ü'.repeat(512),
]

export async function createDevice(registry: Registry, name: string): Promise<NewCredentials> {
  const slash = name.indexOf('/')
  const [tenant, device] = [name.slice(0, slash), name.slice(slash + 1)]
  const [credentials] = await registry.createDevices([{ tenant, device }])
  if (credentials === undefined) throw new Error('no credentials')
  return credentials
}
