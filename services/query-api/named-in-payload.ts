import { faultsOf, type DeadLetter } from '../../shared/dead-letter.ts'
import { decodeRecords, SeriesTable } from '../../shared/decoders/decode.ts'
import { learn } from '../../shared/decoders/learn.ts'
import { SluiceError } from '../../shared/errors.ts'
import type { DeviceName } from '../../shared/registry/names.ts'
import type { Registry } from '../../shared/registry/port.ts'
import { parseDeviceKey } from '../../shared/topics.ts'

/**
 * Devices that a letter's payload names, and that nobody made: those of lines of line protocol and of messages for several
 * devices. None where the payload was cut and cannot be read any more. Errors: those of the registry.
 */
export class NamedInPayload {
  readonly #registry: Registry
  readonly #table = new SeriesTable()

  constructor(registry: Registry) {
    this.#registry = registry
  }

  async of(letter: DeadLetter): Promise<readonly DeviceName[]> {
    const { key, payload: value, ms, ns, scheme, headers } = letter
    const tenant = parseDeviceKey(key)?.tenant
    if (tenant === undefined || faultsOf(letter).first.every(({ code }) => code !== 'device_unknown')) return []
    const record = { key, value, ms, ns, scheme, headers }
    try {
      await learn(this.#table, [record], this.#registry)
    } catch (error) {
      // Of a registry that was put back to a state from before they were set.
      if (error instanceof SluiceError && error.code === 'policy_unknown') return []
      throw error
    }
    const devices = new Set(decodeRecords([record], this.#table).others.map(({ device }) => device))
    return [...devices]
      .filter((device) => !this.#registry.names.isKnown(tenant, device))
      .map((device) => ({ tenant, device }))
  }
}
