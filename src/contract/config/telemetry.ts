/** `telemetry`: where traces go. */
import { section, string } from './words.ts'

const url = {
  type: 'string',
  pattern: '^https?://[^\\s?#]+$',
  description: "The URL of an OTLP receiver over HTTP; /v1/traces is appended unless it's there",
} as const

export const telemetry = section('Traces; without otlp nothing is collected', {
  serviceName: { ...string, default: 'sallyport', description: 'What this gateway is called in traces' },
  otlp: {
    description: 'A URL, or {url, headers, ratio}',
    anyOf: [
      url,
      section(
        'An OTLP receiver over HTTP',
        {
          url,
          headers: {
            type: 'object',
            description: 'Sent along, such as a credential',
            additionalProperties: { type: 'string' },
          },
          ratio: {
            type: 'number',
            description:
              'The share of traces that begin here and are kept; one that came with a request says itself',
            minimum: 0,
            maximum: 1,
          },
        },
        { required: ['url'] },
      ),
    ],
  },
})

export interface TelemetryConfig {
  readonly serviceName: string
  readonly otlp?: string | OtlpConfig
}

export interface OtlpConfig {
  readonly url: string
  readonly headers?: Readonly<Record<string, string>>
  readonly ratio?: number
}
