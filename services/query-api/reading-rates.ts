import { Counter } from 'prom-client'
import { SluiceError } from '../../shared/errors.ts'
import type { Device, Principal } from '../../shared/registry/port.ts'
import type { ApiParts } from './api.ts'

/** Of a device for which an API key posts: the rates are the device's, whoever brings its readings. */
export function deviceLogin({ tenant, device, uid }: Device): Principal {
  return { kind: 'device', name: `${tenant}/${device}`, tenant, device, uid }
}

/** Takes messages of so many bytes together from the rates of a login, all or none. Error: `rate_limited`, with the time after which there is room. */
export function createPacer({ rates, metrics }: ApiParts<'rates' | 'metrics'>) {
  const limited = new Counter({
    name: 'sluice_http_rate_limited_total',
    help: 'Payloads posted over HTTP that were refused because a rate was used up',
    labelNames: ['limit'] as const,
    registers: [metrics],
  })
  return (login: Principal, bytes: number, messages = 1): void => {
    const entered = rates.enter(login)
    if (entered === undefined) return
    const { allowance, leave } = entered
    try {
      const lacking = allowance.lacks()
      if (lacking === undefined) {
        allowance.take(bytes)
        for (let more = 1; more < messages; more += 1) allowance.take(0)
        return
      }
      limited.inc({ limit: lacking.name })
      const text = `${login.name} has used up ${lacking.name}, ${lacking.rate} per second.`
      throw new SluiceError('rate_limited', text, { retryAfterMs: allowance.waitMs() })
    } finally {
      leave()
    }
  }
}
