import { decodeName, encodeName } from '../names.ts'
import { parseDeviceTopic } from '../topics.ts'

/**
 * Client ids scoped by login: `{tenant}/{device}/{id}`, the device as it stands in topics, or `{application}//{id}`. So
 * no login has the prefix of another, whatever slashes are in its name.
 */

/** Whose a scoped client id is. */
export function principalOf(clientId: string): { readonly name: string; readonly isApplication: boolean } {
  const first = clientId.indexOf('/')
  if (clientId[first + 1] === '/') return { name: clientId.slice(0, first), isApplication: true }
  const level = clientId.slice(first + 1, clientId.indexOf('/', first + 1))
  return { name: `${clientId.slice(0, first)}/${decodeName(level) ?? level}`, isApplication: false }
}

/** What the client ids of a login begin with, and no others. */
export function prefixOf(principal: string): string {
  const slash = principal.indexOf('/')
  if (slash < 0) return `${principal}//`
  return `${principal.slice(0, slash)}/${encodeName(principal.slice(slash + 1))}/`
}

const OWN_TOPIC = /^t\/[^/]+\/[^/]+\/(?:cmd|notice)(?:\/|$)/

/** `{tenant}/{device}` when the topic is one that only this device and applications receive; else empty. */
export function ownerOfTopic(topic: string): string {
  const owner = OWN_TOPIC.test(topic) ? parseDeviceTopic(topic) : undefined
  return owner === undefined ? '' : `${owner.tenant}/${owner.device}`
}
