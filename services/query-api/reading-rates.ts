import { Counter } from 'prom-client'
import { SluiceError } from '../../shared/errors.ts'
import type { Device, Principal } from '../../shared/registry/port.ts'
import type { ApiParts } from './api.ts'

/** Of a device for which an API key posts: the rates are the device's, whoever brings its readings. */
export function deviceLogin({ tenant, device, uid }: Device): Principal {
  return { kind: 'device', name: `${tenant}/${device}`, tenant, device, uid }
}

/** Takes a message of so many bytes from the rates of a login. Error: `rate_limited`, with the time after which there is room. */
export function createPacer({ rates, metrics }: ApiParts<'rates' | 'metrics'>) {
  const limited = new Counter({
    name: 'sluice_http_rate_limited_total',
    help: 'Payloads posted over HTTP that were refused because a rate was used up',
    labelNames: ['limit'] as const,
    registers: [metrics],
  })
  return (login: Principal, bytes: number): void => {
    const entered = rates.enter(login)
    if (entered === undefined) return
    const { allowance, leave } = entered
    try {
      const lacking = allowance.lacks()
      if (lacking === undefined) return allowance.take(bytes)
      limited.inc({ limit: lacking.name })
      const text = `${login.name} has used up ${lacking.name}, ${lacking.rate} per second.`
      throw new SluiceError('rate_limited', text, { retryAfterMs: allowance.waitMs() })
    } finally {
      leave()
    }
  }
}
