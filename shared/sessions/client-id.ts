/**
 * Whose messages are under a client id scoped by login: `{tenant}/{device}/{id}` or `{application}//{id}`.
 */
export function principalOf(clientId: string): { readonly name: string; readonly isApplication: boolean } {
  const first = clientId.indexOf('/')
  if (clientId[first + 1] === '/') return { name: clientId.slice(0, first), isApplication: true }
  return { name: clientId.slice(0, clientId.indexOf('/', first + 1)), isApplication: false }
}

/** What the client ids of a login begin with, and no others. */
export function prefixOf(principal: string): string {
  return principal.includes('/') ? `${principal}/` : `${principal}//`
}

const OWN_TOPIC = /^t\/([^/]+\/[^/]+)\/(?:cmd|notice)(?:\/|$)/

/** `{tenant}/{device}` when the topic is one that only this device and applications receive; else empty. */
export function ownerOfTopic(topic: string): string {
  return OWN_TOPIC.exec(topic)?.[1] ?? ''
}
