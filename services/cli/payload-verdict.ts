import type { Fault } from '../../shared/faults.ts'
import { faultText } from './fault-text.ts'

/** What a payload holds, as the API answers. */
export interface PayloadVerdict {
  readonly points: readonly {
    readonly element: number
    readonly device: string
    readonly stream: string
    readonly field: string
    readonly kind: string
    readonly time: string
    readonly value: unknown
  }[]
  readonly pointCount: number
  readonly nulls: number
  readonly faults: readonly Fault[]
  readonly faultCount: number
  readonly warnings: readonly Fault[]
}

/** A line for each point, for what is refused and for what is doubtful. */
export function verdictLines({ points, pointCount, nulls, faults, faultCount, warnings }: PayloadVerdict): string[] {
  const more = (all: number, shown: number): string[] => (all > shown ? [`  and ${all - shown} more`] : [])
  return [
    `${counted(pointCount, 'point')}${nulls === 0 ? '' : `, ${counted(nulls, 'null field')}`}${faultCount === 0 ? '' : `, ${faultCount} refused`}`,
    ...points.map(({ element, device, stream, field, kind, time, value }) => {
      const place = element === 0 ? '' : ` [${element}]`
      return `  ${device} ${stream}${place} ${field}=${JSON.stringify(value)} (${kind}) at ${time}`
    }),
    ...more(pointCount, points.length),
    ...faults.map((fault) => `  refused: ${faultText(fault)}`),
    ...more(faultCount, faults.length),
    ...warnings.map((fault) => `  doubtful: ${faultText(fault)}`),
  ]
}

function counted(count: number, what: string): string {
  return `${count} ${what}${count === 1 ? '' : 's'}`
}
