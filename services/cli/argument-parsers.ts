import { InvalidArgumentError } from 'commander'
import type { AclRule, RuleAction, RuleEffect } from '../../shared/registry/port.ts'
import { isName } from '../../shared/names.ts'
import { parseDeviceKey } from '../../shared/topics.ts'

const UNITS_MS: Readonly<Record<string, number>> = { ms: 1, s: 1_000, m: 60_000, h: 3_600_000, d: 86_400_000 }

/** `500ms`, `30s`, `5m`, `1h`, `1d`, in whole milliseconds; a bare number is seconds. */
export function parseDuration(text: string): number {
  const [, count, unit = 's'] = /^(\d+(?:\.\d+)?)(ms|s|m|h|d)?$/.exec(text) ?? []
  const ms = Math.round(Number(count) * (UNITS_MS[unit] ?? Number.NaN))
  if (!(ms > 0)) throw new InvalidArgumentError('Write a duration like 30s, 5m or 1h.')
  return ms
}

/** Inverse of {@link parseDuration}, in the largest unit that leaves no fraction. */
export function durationText(ms: number): string {
  const [unit, size] = Object.entries(UNITS_MS).findLast(([, one]) => ms % one === 0) ?? ['ms', 1]
  return `${ms / size}${unit}`
}

/** A whole number between bounds, both inclusive. */
export function wholeNumber(min: number, max: number): (text: string) => number {
  return (text) => {
    const value = Number(text)
    if (/^\d+$/.test(text) && value >= min && value <= max) return value
    throw new InvalidArgumentError(`Write a whole number from ${min} to ${max}.`)
  }
}

/** A number of events per second, 0 or more; fractions are allowed. */
export function parseRate(text: string): number {
  const value = Number(text)
  if (text.trim() === '' || !(value >= 0) || !Number.isFinite(value)) {
    throw new InvalidArgumentError('Write a number of readings per second, 0 for as fast as possible.')
  }
  return value
}

export interface DeviceName {
  readonly tenant: string
  readonly device: string
}

export function parseDeviceName(text: string): DeviceName {
  const name = parseDeviceKey(text)
  if (name === undefined)
    throw new InvalidArgumentError(
      'Write <tenant>/<device>: a tenant of A-Z a-z 0-9 _ . -, a device of 1 to 128 bytes.',
    )
  return name
}

/** Adds one `tenant/device` to those given before it. */
export function collectDeviceName(text: string, before: readonly DeviceName[] = []): DeviceName[] {
  return [...before, parseDeviceName(text)]
}

export function parseName(text: string): string {
  if (isName(text)) return text
  throw new InvalidArgumentError('Names are 1 to 64 characters of A-Z a-z 0-9 _ . -')
}

/** A tenant or one of its devices. */
export function parseTenantOrDevice(text: string): { readonly tenant: string; readonly device?: string } {
  return text.includes('/') ? parseDeviceName(text) : { tenant: parseName(text) }
}

/** Adds one `key=value` to those given before it. */
export function collectTag(text: string, before: Readonly<Record<string, string>> = {}): Record<string, string> {
  const equals = text.indexOf('=')
  if (equals < 1) throw new InvalidArgumentError('Write key=value.')
  return { ...before, [text.slice(0, equals)]: text.slice(equals + 1) }
}

/** Adds one rule, written `publish:FILTER` or `subscribe:FILTER`, to those given before it. */
export function collectRule(effect: RuleEffect): (text: string, before?: readonly AclRule[]) => AclRule[] {
  return (text, before = []) => {
    const colon = text.indexOf(':')
    const action = text.slice(0, Math.max(colon, 0))
    const topic = text.slice(colon + 1)
    if (!isAction(action) || topic === '') {
      throw new InvalidArgumentError('Write publish:FILTER or subscribe:FILTER, for example subscribe:t/demo/#')
    }
    return [...before, { effect, action, topic }]
  }
}

function isAction(text: string): text is RuleAction {
  return text === 'publish' || text === 'subscribe'
}

/** `host:port`, the host of an IPv6 address in brackets. */
export function parseHostPort(text: string): { readonly host: string; readonly port: number } {
  const [, bracketed, plain, digits] = /^(?:\[([^\]]+)\]|([^:[\]]+)):(\d{1,5})$/.exec(text) ?? []
  const host = bracketed ?? plain
  const port = Number(digits)
  if (host === undefined || !(port >= 1 && port <= 65_535)) throw new InvalidArgumentError('Write host:port.')
  return { host, port }
}
