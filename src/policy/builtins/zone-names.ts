/**
 * Zone names: what the clock of each IANA zone is called, which Intl does not know (`CET`, not `GMT+1`).
 *
 * Made from the zone data that OPA carries: per group of zones, the latest name for each offset since 1970.
 * A zone without a name for an offset is called by the offset, `+0545`, as in the zone data itself.
 */

const TABLE = `
ACST+09:30 = Australia/Darwin Australia/North
ACST+09:30 ACDT+10:30 = Australia/Adelaide Australia/Broken_Hill Australia/South Australia/Yancowinna
ADDT-02:00 ADT-03:00 AST-04:00 = America/Goose_Bay
ADT-03:00 AST-04:00 = America/Barbados America/Glace_Bay America/Halifax America/Martinique America/Moncton America/Thule Atlantic/Bermuda Canada/Atlantic
AEST+10:00 = Australia/LHI Australia/Lord_Howe
AEST+10:00 AEDT+11:00 = Antarctica/Macquarie Australia/ACT Australia/Brisbane Australia/Canberra Australia/Currie Australia/Hobart Australia/Lindeman Australia/Melbourne Australia/NSW Australia/Queensland Australia/Sydney Australia/Tasmania Australia/Victoria
AKDT-08:00 AKST-09:00 = America/Yakutat
AKDT-08:00 AKST-09:00 AHST-10:00 = America/Anchorage US/Alaska
AKDT-08:00 AKST-09:00 BDT-10:00 BST-11:00 = America/Nome
AST-04:00 = America/Anguilla America/Antigua America/Aruba America/Blanc-Sablon America/Curacao America/Dominica America/Grenada America/Guadeloupe America/Kralendijk America/Lower_Princes America/Marigot America/Miquelon America/Montserrat America/Port_of_Spain America/Puerto_Rico America/St_Barthelemy America/St_Kitts America/St_Lucia America/St_Thomas America/St_Vincent America/Tortola America/Virgin
AST-04:00 EST-05:00 = America/Santo_Domingo
AWST+08:00 AWDT+09:00 = Australia/Perth Australia/West
CAT+02:00 = Africa/Blantyre Africa/Bujumbura Africa/Gaborone Africa/Harare Africa/Kigali Africa/Lubumbashi Africa/Lusaka Africa/Maputo
CAT+02:00 EAT+03:00 = Africa/Juba Africa/Khartoum
CDT-04:00 CST-05:00 = America/Havana Cuba
CDT-05:00 CST-06:00 = America/Belize America/Chicago America/Costa_Rica America/El_Salvador America/Guatemala America/Indiana/Knox America/Knox_IN America/Managua America/Matamoros America/Menominee America/Merida America/Mexico_City America/Monterrey America/Rainy_River America/Rankin_Inlet America/Resolute America/Tegucigalpa America/Winnipeg CST6CDT Canada/Central Mexico/General US/Central US/Indiana-Starke
CDT-05:00 CST-06:00 MST-07:00 = America/Bahia_Banderas America/Chihuahua America/North_Dakota/Beulah America/North_Dakota/Center America/North_Dakota/New_Salem America/Ojinaga
CDT-05:00 MDT-06:00 MST-07:00 = America/Cambridge_Bay America/Ciudad_Juarez
CET+01:00 CEST+02:00 = Africa/Tunis Arctic/Longyearbyen Atlantic/Jan_Mayen CET Europe/Amsterdam Europe/Andorra Europe/Belgrade Europe/Berlin Europe/Bratislava Europe/Brussels Europe/Budapest Europe/Busingen Europe/Copenhagen Europe/Gibraltar Europe/Ljubljana Europe/Luxembourg Europe/Madrid Europe/Malta Europe/Monaco Europe/Oslo Europe/Paris Europe/Podgorica Europe/Prague Europe/Rome Europe/San_Marino Europe/Sarajevo Europe/Skopje Europe/Stockholm Europe/Tirane Europe/Vaduz Europe/Vatican Europe/Vienna Europe/Warsaw Europe/Zagreb Europe/Zurich Poland
CET+01:00 EET+02:00 = Africa/Tripoli Libya
CET+01:00 EET+02:00 EEST+03:00 MSD+04:00 = Europe/Vilnius
CST+08:00 CDT+09:00 = Asia/Chongqing Asia/Chungking Asia/Harbin Asia/Macao Asia/Macau Asia/Shanghai Asia/Taipei PRC ROC
CST-06:00 = America/Regina Canada/Saskatchewan
CST-06:00 MST-07:00 = America/Swift_Current
ChST+10:00 GDT+11:00 = Pacific/Guam Pacific/Saipan
EAT+03:00 = Africa/Addis_Ababa Africa/Asmara Africa/Asmera Africa/Dar_es_Salaam Africa/Djibouti Africa/Kampala Africa/Mogadishu Africa/Nairobi Indian/Antananarivo Indian/Comoro Indian/Mayotte
EDT-04:00 CDT-05:00 CST-06:00 = America/Indiana/Tell_City
EDT-04:00 EST-05:00 = America/Detroit America/Fort_Wayne America/Grand_Turk America/Indiana/Indianapolis America/Indiana/Marengo America/Indiana/Vevay America/Indianapolis America/Jamaica America/Kentucky/Louisville America/Louisville America/Montreal America/Nassau America/New_York America/Nipigon America/Port-au-Prince America/Thunder_Bay America/Toronto Canada/Eastern EST5EDT Jamaica US/East-Indiana US/Eastern US/Michigan
EDT-04:00 EST-05:00 CST-06:00 = America/Cancun America/Indiana/Petersburg America/Indiana/Vincennes America/Indiana/Winamac America/Iqaluit America/Kentucky/Monticello America/Pangnirtung
EET+02:00 EEST+03:00 = Africa/Cairo Asia/Amman Asia/Beirut Asia/Damascus Asia/Famagusta Asia/Gaza Asia/Hebron Asia/Istanbul Asia/Nicosia EET Egypt Europe/Athens Europe/Bucharest Europe/Helsinki Europe/Istanbul Europe/Mariehamn Europe/Nicosia Europe/Sofia Turkey
EET+02:00 EEST+03:00 MSD+04:00 = Europe/Chisinau Europe/Kaliningrad Europe/Kiev Europe/Kyiv Europe/Minsk Europe/Riga Europe/Tallinn Europe/Tiraspol Europe/Uzhgorod Europe/Zaporozhye
EET+02:00 MSK+03:00 MSK+04:00 = Europe/Moscow Europe/Simferopol W-SU
EST-05:00 = America/Atikokan America/Cayman America/Coral_Harbour America/Panama EST
GMT+00:00 = Africa/Abidjan Africa/Accra Africa/Bamako Africa/Banjul Africa/Bissau Africa/Conakry Africa/Dakar Africa/Freetown Africa/Lome Africa/Nouakchott Africa/Ouagadougou Africa/Timbuktu America/Danmarkshavn Atlantic/Reykjavik Atlantic/St_Helena Etc/GMT Etc/GMT+0 Etc/GMT-0 Etc/GMT0 Etc/Greenwich GMT GMT+0 GMT-0 GMT0 Greenwich Iceland
GMT+00:00 BST+01:00 = Europe/Belfast Europe/Guernsey Europe/Isle_of_Man Europe/Jersey Europe/London GB GB-Eire
GMT+00:00 IST+01:00 = Eire Europe/Dublin
GMT+00:00 MMT-00:44 = Africa/Monrovia
GMT+00:00 WAT+01:00 = Africa/Sao_Tome
HDT-09:00 HST-10:00 BST-11:00 = America/Adak America/Atka US/Aleutian
HKT+08:00 HKST+09:00 = Asia/Hong_Kong Hongkong
HST-10:00 = HST Pacific/Honolulu Pacific/Johnston US/Hawaii
IST+02:00 IDT+03:00 = Asia/Jerusalem Asia/Tel_Aviv Israel
IST+05:30 = Asia/Calcutta Asia/Kolkata
JST+09:00 = Asia/Tokyo Japan
KST+08:30 KST+09:00 = Asia/Pyongyang
KST+09:00 KDT+10:00 = Asia/Seoul ROK
MDT-06:00 MST-07:00 = America/Boise America/Denver America/Edmonton America/Hermosillo America/Mazatlan America/Shiprock America/Yellowknife Canada/Mountain MST7MDT Mexico/BajaSur Navajo US/Mountain
MDT-06:00 MST-07:00 PST-08:00 = America/Inuvik
MET+01:00 MEST+02:00 = MET
MSK+03:00 MSK+04:00 = Europe/Kirov Europe/Volgograd
MST-07:00 = America/Creston America/Phoenix MST US/Arizona
MST-07:00 PST-08:00 = America/Dawson_Creek America/Fort_Nelson America/Whitehorse Canada/Yukon
MST-07:00 PST-08:00 YST-09:00 = America/Dawson
NDDT-01:30 NDT-02:30 NST-03:30 = America/St_Johns Canada/Newfoundland
NZST+12:00 NZDT+13:00 = Antarctica/McMurdo Antarctica/South_Pole NZ Pacific/Auckland
PDT-07:00 AKDT-08:00 AKST-09:00 = America/Juneau America/Metlakatla America/Sitka
PDT-07:00 PST-08:00 = America/Ensenada America/Los_Angeles America/Santa_Isabel America/Tijuana America/Vancouver Canada/Pacific Mexico/BajaNorte PST8PDT US/Pacific
PKT+05:00 PKST+06:00 = Asia/Karachi
PST+08:00 PDT+09:00 = Asia/Manila
SAST+02:00 = Africa/Johannesburg Africa/Maseru Africa/Mbabane
SST-11:00 = Pacific/Midway Pacific/Pago_Pago Pacific/Samoa US/Samoa
UTC+00:00 = Etc/UCT Etc/UTC Etc/Universal Etc/Zulu UCT UTC Universal Zulu
WAT+01:00 = Africa/Bangui Africa/Brazzaville Africa/Douala Africa/Kinshasa Africa/Lagos Africa/Libreville Africa/Luanda Africa/Malabo Africa/Niamey Africa/Porto-Novo
WAT+01:00 CAT+02:00 = Africa/Windhoek
WAT+01:00 WAST+02:00 = Africa/Ndjamena
WET+00:00 CET+01:00 CEST+02:00 = Africa/Algiers Africa/Ceuta
WET+00:00 WEST+01:00 = Atlantic/Azores Atlantic/Canary Atlantic/Faeroe Atlantic/Faroe Atlantic/Madeira WET
WET+00:00 WEST+01:00 CEST+02:00 = Europe/Lisbon Portugal
WIB+07:00 = Asia/Jakarta
WIB+07:00 WITA+08:00 = Asia/Pontianak
WIT+09:00 = Asia/Jayapura
WITA+08:00 = Asia/Makassar Asia/Ujung_Pandang
= Africa/Casablanca Africa/El_Aaiun America/Araguaina America/Argentina/Buenos_Aires America/Argentina/Catamarca America/Argentina/ComodRivadavia America/Argentina/Cordoba America/Argentina/Jujuy America/Argentina/La_Rioja America/Argentina/Mendoza America/Argentina/Rio_Gallegos America/Argentina/Salta America/Argentina/San_Juan America/Argentina/San_Luis America/Argentina/Tucuman America/Argentina/Ushuaia America/Asuncion America/Bahia America/Belem America/Boa_Vista America/Bogota America/Buenos_Aires America/Campo_Grande America/Caracas America/Catamarca America/Cayenne America/Cordoba America/Coyhaique America/Cuiaba America/Eirunepe America/Fortaleza America/Godthab America/Guayaquil America/Guyana America/Jujuy America/La_Paz America/Lima America/Maceio America/Manaus America/Mendoza America/Montevideo America/Noronha America/Nuuk America/Paramaribo America/Porto_Acre America/Porto_Velho America/Punta_Arenas America/Recife America/Rio_Branco America/Rosario America/Santarem America/Santiago America/Sao_Paulo America/Scoresbysund Antarctica/Casey Antarctica/Davis Antarctica/DumontDUrville Antarctica/Mawson Antarctica/Palmer Antarctica/Rothera Antarctica/Syowa Antarctica/Troll Antarctica/Vostok Asia/Aden Asia/Almaty Asia/Anadyr Asia/Aqtau Asia/Aqtobe Asia/Ashgabat Asia/Ashkhabad Asia/Atyrau Asia/Baghdad Asia/Bahrain Asia/Baku Asia/Bangkok Asia/Barnaul Asia/Bishkek Asia/Brunei Asia/Chita Asia/Choibalsan Asia/Colombo Asia/Dacca Asia/Dhaka Asia/Dili Asia/Dubai Asia/Dushanbe Asia/Ho_Chi_Minh Asia/Hovd Asia/Irkutsk Asia/Kabul Asia/Kamchatka Asia/Kashgar Asia/Kathmandu Asia/Katmandu Asia/Khandyga Asia/Krasnoyarsk Asia/Kuala_Lumpur Asia/Kuching Asia/Kuwait Asia/Magadan Asia/Muscat Asia/Novokuznetsk Asia/Novosibirsk Asia/Omsk Asia/Oral Asia/Phnom_Penh Asia/Qatar Asia/Qostanay Asia/Qyzylorda Asia/Rangoon Asia/Riyadh Asia/Saigon Asia/Sakhalin Asia/Samarkand Asia/Singapore Asia/Srednekolymsk Asia/Tashkent Asia/Tbilisi Asia/Tehran Asia/Thimbu Asia/Thimphu Asia/Tomsk Asia/Ulaanbaatar Asia/Ulan_Bator Asia/Urumqi Asia/Ust-Nera Asia/Vientiane Asia/Vladivostok Asia/Yakutsk Asia/Yangon Asia/Yekaterinburg Asia/Yerevan Atlantic/Cape_Verde Atlantic/South_Georgia Atlantic/Stanley Australia/Eucla Brazil/Acre Brazil/DeNoronha Brazil/East Brazil/West Chile/Continental Chile/EasterIsland Etc/GMT+1 Etc/GMT+10 Etc/GMT+11 Etc/GMT+12 Etc/GMT+2 Etc/GMT+3 Etc/GMT+4 Etc/GMT+5 Etc/GMT+6 Etc/GMT+7 Etc/GMT+8 Etc/GMT+9 Etc/GMT-1 Etc/GMT-10 Etc/GMT-11 Etc/GMT-12 Etc/GMT-13 Etc/GMT-14 Etc/GMT-2 Etc/GMT-3 Etc/GMT-4 Etc/GMT-5 Etc/GMT-6 Etc/GMT-7 Etc/GMT-8 Etc/GMT-9 Europe/Astrakhan Europe/Samara Europe/Saratov Europe/Ulyanovsk Indian/Chagos Indian/Christmas Indian/Cocos Indian/Kerguelen Indian/Mahe Indian/Maldives Indian/Mauritius Indian/Reunion Iran Kwajalein NZ-CHAT Pacific/Apia Pacific/Bougainville Pacific/Chatham Pacific/Chuuk Pacific/Easter Pacific/Efate Pacific/Enderbury Pacific/Fakaofo Pacific/Fiji Pacific/Funafuti Pacific/Galapagos Pacific/Gambier Pacific/Guadalcanal Pacific/Kanton Pacific/Kiritimati Pacific/Kosrae Pacific/Kwajalein Pacific/Majuro Pacific/Marquesas Pacific/Nauru Pacific/Niue Pacific/Norfolk Pacific/Noumea Pacific/Palau Pacific/Pitcairn Pacific/Pohnpei Pacific/Ponape Pacific/Port_Moresby Pacific/Rarotonga Pacific/Tahiti Pacific/Tarawa Pacific/Tongatapu Pacific/Truk Pacific/Wake Pacific/Wallis Pacific/Yap Singapore
`

/** Offset in seconds to name, by zone. */
const NAMES: ReadonlyMap<string, ReadonlyMap<number, string>> = new Map(
  TABLE.trim()
    .split('\n')
    .flatMap(line => {
      const [names = '', zones = ''] = line.split('=')
      const byOffset = new Map(
        [...names.matchAll(/([A-Za-z]+)([+-])(\d\d):(\d\d)/g)].map(([, name = '', sign, hours, minutes]) => {
          const seconds = Number(hours) * 3600 + Number(minutes) * 60
          return [sign === '-' ? -seconds : seconds, name] as const
        }),
      )
      return zones
        .trim()
        .split(' ')
        .map(zone => [zone, byOffset] as const)
    }),
)

/** Whether the zone data has exactly this name. Intl takes any case, and offsets such as `+01:00`. */
export function isZoneName(name: string): boolean {
  return NAMES.has(name)
}

/** @param offset - Seconds east of UTC. */
export function zoneAbbreviation(zone: string, offset: number): string {
  const name = NAMES.get(zone)?.get(offset)
  if (name !== undefined) return name
  const minutes = Math.floor(Math.abs(offset) / 60)
  const pad = (part: number) => String(part).padStart(2, '0')
  return `${offset < 0 ? '-' : '+'}${pad(Math.floor(minutes / 60))}${minutes % 60 === 0 ? '' : pad(minutes % 60)}`
}
