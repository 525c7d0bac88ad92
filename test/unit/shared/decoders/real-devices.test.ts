import { describe, expect, it } from 'vitest'
import type { PointValue } from '../../../../shared/telemetry.ts'
import { stored } from './stored.ts'

/** Payloads in the form in which devices and gateways that many people have send them, with their default settings. */

interface Device {
  readonly payload: string
  readonly fields: readonly (readonly [field: string, value: PointValue, time?: string])[]
  readonly faults?: readonly string[]
  readonly doubts?: readonly string[]
}

const at = '2026-11-29T00:20:00Z'

const devices: Readonly<Record<string, Device>> = {
  'a LoRaWAN server, with the gateways that heard it': {
    payload:
      '{"time":"2026-11-29T00:20:00.123456789+00:00","fCnt":4,"adr":true,"object":{"temperature":21.5,"humidity":48},' +
      '"rxInfo":[{"gatewayId":"01","rssi":-48,"snr":9.5,"time":null}],"data":"aGVsbG8="}',
    fields: [
      ['fCnt', 4, '2026-11-29T00:20:00.123456789Z'],
      ['adr', true, '2026-11-29T00:20:00.123456789Z'],
      ['object.temperature', 21.5, '2026-11-29T00:20:00.123456789Z'],
      ['object.humidity', 48, '2026-11-29T00:20:00.123456789Z'],
      ['data', 'aGVsbG8=', '2026-11-29T00:20:00.123456789Z'],
    ],
    faults: ['rxInfo: list_left_out'],
  },
  'a meter of three phases, with a local time': {
    payload: '{"Time":"2026-11-29T01:10:56","ENERGY":{"Total":15.350,"Power":[120,230,85]}}',
    fields: [
      ['Time', '2026-11-29T01:10:56'],
      ['ENERGY.Total', 15.35],
      ['ENERGY.Power.0', 120],
      ['ENERGY.Power.1', 230],
      ['ENERGY.Power.2', 85],
    ],
    doubts: ['time_without_zone'],
  },
  'a switch with a meter': {
    payload:
      '{"id":0,"output":false,"apower":12.5,"tag":null,"aenergy":{"total":123.585,"by_minute":[0.000,1.5,0.000]}}',
    fields: [
      ['id', 0],
      ['output', false],
      ['apower', 12.5],
      ['aenergy.total', 123.585],
      ['aenergy.by_minute.0', 0],
      ['aenergy.by_minute.1', 1.5],
      ['aenergy.by_minute.2', 0],
    ],
  },
  'a receiver of 433 MHz sensors, in local time': {
    payload: '{"time" : "2026-11-29 01:28:12", "model" : "Prologue-TH", "temperature_C" : 16.200}',
    fields: [
      ['time', '2026-11-29 01:28:12'],
      ['model', 'Prologue-TH'],
      ['temperature_C', 16.2],
    ],
    doubts: ['time_without_zone'],
  },
  'two local times': {
    payload: '{"temperature":6.1,"datetime":"2026-11-29 01:29:59","time":"2026-11-29 01:29:59"}',
    fields: [
      ['temperature', 6.1],
      ['datetime', '2026-11-29 01:29:59'],
      ['time', '2026-11-29 01:29:59'],
    ],
    doubts: ['time_without_zone'],
  },
  'a phone that reports where it is': {
    payload: '{"_type":"location","batt":53,"inregions":["home"],"lat":48.2,"lon":13.8,"tst":1795911600}',
    fields: [
      ['_type', 'location', at],
      ['batt', 53, at],
      ['inregions.0', 'home', at],
      ['lat', 48.2, at],
      ['lon', 13.8, at],
      ['tst', 1_795_911_600, at],
    ],
  },
  'an offset as C writes it': {
    payload: '{"value":"317.3988","rate":0.00033,"timestamp":"2026-11-29T01:20:00+0100"}',
    fields: [
      ['value', '317.3988', at],
      ['rate', 0.000_33, at],
    ],
  },
  'seconds in quotes': { payload: '{"timestamp":"1795911600","rssi":-53}', fields: [['rssi', -53, at]] },
  'seconds with a fraction, in quotes, under a name of weather stations': {
    payload: '{"dateTime":"1795911600.0","outTemp_C":"21.5"}',
    fields: [
      ['dateTime', '1795911600.0', at],
      ['outTemp_C', '21.5', at],
    ],
  },
  'a string of C, with its end': {
    payload: '{"value":15,"t":21.5}\0',
    fields: [
      ['value', 15],
      ['t', 21.5],
    ],
  },
  'a text of Windows, with its mark': { payload: '\ufeff{"t":21.5}\r\n', fields: [['t', 21.5]] },
  'a sensor that failed': { payload: '{"temperature":nan,"humidity":48.5}', fields: [['humidity', 48.5]] },
  'one value for each topic': { payload: '-4', fields: [['value', -4]] },
  'a state for each topic': { payload: 'unavailable', fields: [['value', 'unavailable']] },
  'an id of 64 bits': {
    payload: '{"id":2882429806056571124,"temperature":21.5}',
    fields: [
      ['id', 2_882_429_806_056_571_124n],
      ['temperature', 21.5],
    ],
  },
  'large numbers as Java writes them': {
    payload: '[{"ts":1795911600000,"values":{"test":123456789000000000000.0}}]',
    fields: [['test', 123_456_789_000_000_000_000, at]],
  },
  SenML: {
    payload: '[{"bn":"urn:dev:1:","bt":1795911600,"n":"temp","u":"Cel","v":23.1},{"n":"hum","u":"%RH","v":50,"t":-5}]',
    fields: [
      ['urn:dev:1:temp', 23.1, at],
      ['urn:dev:1:hum', 50, '2026-11-29T00:19:55Z'],
    ],
  },
  'line protocol': {
    payload: 'weather,loc=a temperature=21.5,humidity=40i 1795911600000000000',
    fields: [
      ['weather.temperature{loc="a"}', 21.5, at],
      ['weather.humidity{loc="a"}', 40, at],
    ],
  },
  'a gateway of machines': {
    payload:
      '{"timestamp":1795911600180,"values":[{"id":"Line1.Press","v":630,"q":true,"t":1795911600134},' +
      '{"id":"Line1.State","v":"RUN","q":true,"t":1795911599919}]}',
    fields: [
      ['Line1.Press', 630, '2026-11-29T00:20:00.134Z'],
      ['Line1.Press.q', true, '2026-11-29T00:20:00.134Z'],
      ['Line1.State', 'RUN', '2026-11-29T00:19:59.919Z'],
      ['Line1.State.q', true, '2026-11-29T00:19:59.919Z'],
    ],
  },
  'inputs with flags': {
    payload:
      '{"sensorDatas":[{"addTime":"2026-11-29 12:34:56","switcher":"1","flag":"DI1"},{"flag":"AIN1","value":4.25}]}',
    fields: [
      ['DI1', '1'],
      ['DI1.addTime', '2026-11-29 12:34:56'],
      ['AIN1', 4.25],
    ],
    doubts: ['time_without_zone'],
  },
  'a gateway with readings of several devices': {
    payload:
      '{"Device A":[{"ts":1795911600000,"values":{"temperature":42}}],"Device B":[{"ts":1795911600000,"values":{"temperature":43}}]}',
    fields: [
      ['Device A.temperature', 42, at],
      ['Device B.temperature', 43, at],
    ],
  },
  'a station of citizens, which quotes its numbers': {
    payload:
      '{"esp8266id":"0011","timestamp":1795911600000,"sensordatavalues":[{"value_type":"BME280_temperature","value":"8.20"},' +
      '{"value_type":"signal","value":"-64 dBm"}]}',
    fields: [
      ['esp8266id', '0011', at],
      ['BME280_temperature', 8.2, at],
      ['signal', '-64 dBm', at],
    ],
  },
  'an alias that was never given': {
    payload: '{"":{"Id":"0000001","Temperature":20.37},"DS18B20-2":{"Temperature":21.25}}',
    fields: [
      ['.Id', '0000001'],
      ['.Temperature', 20.37],
      ['DS18B20-2.Temperature', 21.25],
    ],
  },
  'a device that left': { payload: '{"value":null}', fields: [] },
  'a backlog': {
    payload: '[{"tst":1795900000,"lat":48.2},{"tst":1795900060,"lat":48.21}]',
    fields: [
      ['tst', 1_795_900_000, '2026-11-28T21:06:40Z'],
      ['lat', 48.2, '2026-11-28T21:06:40Z'],
      ['tst', 1_795_900_060, '2026-11-28T21:07:40Z'],
      ['lat', 48.21, '2026-11-28T21:07:40Z'],
    ],
  },
  'what Python prints of a dict': { payload: "{'temperature': 21.5}", fields: [], faults: ['null: payload_not_json'] },
}

describe('payloads as devices send them', () => {
  it.each(Object.entries(devices))('%s', (_, { payload, fields, faults = [], doubts = [] }) => {
    const expected = fields.map(([field, value, time]) => [field, time === undefined ? [value] : [value, time]])
    expect(stored(payload)).toEqual({ fields: expected, faults, doubts })
  })
})
