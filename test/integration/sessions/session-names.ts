/** Sessions that are away, of an application and of a device, and their filters. */
export const AWAY = { clientId: 'app//away', filter: 'queue/#' }
export const COMMANDED = { clientId: 'acme/pump/away', filter: 't/acme/pump/cmd/#' }
/** One that sends with QoS 2. */
export const SENDER = 'acme/pump/sender'
