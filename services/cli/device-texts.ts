/** As the API answers it. */
export interface PresenceAnswer {
  readonly connected: boolean
  readonly since: string | null
  readonly reason: string | null
  readonly sessions: readonly { readonly node: string; readonly address: string }[]
}

/** As the API answers it; in seconds. */
export interface ClockAnswer {
  readonly offset: number
  readonly at: string
  readonly step: { readonly by: number; readonly at: string } | null
}

/** Since when a device is connected, or is not any more. */
export function presenceText(presence: PresenceAnswer | undefined): string {
  const session = presence?.sessions[0]
  if (presence === undefined || session === undefined) return 'never'
  if (presence.connected) return `since ${presence.since} from ${session.address}, node ${session.node}`
  return `no, since ${presence.since} (${presence.reason ?? 'unknown'})`
}

/** How far the clock of a device is off. */
export function clockText(clock: ClockAnswer | null | undefined): string {
  if (clock === null || clock === undefined) return 'unknown: it sends no time'
  const step = clock.step === null ? '' : `; set by ${signed(clock.step.by)} at ${clock.step.at}`
  return `${signed(clock.offset)} from the receive time, as of ${clock.at}${step}`
}

function signed(seconds: number): string {
  return `${seconds < 0 ? '' : '+'}${seconds} s`
}
