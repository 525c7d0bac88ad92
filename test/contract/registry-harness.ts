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

/** Names that some database takes for equal, as far as names allow. */
export const SIMILAR_NAMES = ['pump-1', 'Pump-1', 'PUMP-1', 'pump_1', 'pump.1', 'pump-1.', 'pump-01']

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
]

export async function createDevice(registry: Registry, name: string): Promise<NewCredentials> {
  const [tenant = '', device = ''] = name.split('/')
  const [credentials] = await registry.createDevices([{ tenant, device }])
  if (credentials === undefined) throw new Error('no credentials')
  return credentials
}
