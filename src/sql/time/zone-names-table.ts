/**
 * English names of zones, as Java gives them (JDK 17, locale en-US).
 *
 * A row: standard, daylight and generic name, each long and short, with bars between; a colon; zone
 * ids. The first id is the zone that each name of the row is read as; with `=` before it, it has
 * names of its own in another row (`=` alone: not read). Where rows share a name, the last one
 * counts in reading. A line that starts with a blank goes on with the row.
 */
export const zoneNamesTable = `
Afghanistan Time|AFT|Afghanistan Summer Time|AFST|Afghanistan Time|AFT: Asia/Kabul
Alaska Standard Time|AKST|Alaska Daylight Time|AKDT|Alaska Time|AKT: America/Juneau
 America/Anchorage America/Metlakatla America/Nome America/Sitka America/Yakutat
Anadyr Standard Time|ANAT|Anadyr Summer Time|ANAST|Anadyr Time|ANAT: Asia/Anadyr
Apia Standard Time|WSST|Apia Daylight Time|WSDT|Apia Time|WST: Pacific/Apia
Arabian Standard Time|AST|Arabian Daylight Time|ADT|Arabian Time|AT: Asia/Riyadh Asia/Aden
 Asia/Baghdad Asia/Bahrain Asia/Kuwait Asia/Qatar
Argentina Standard Time|ART|Argentina Summer Time|ARST|Argentina Time|ART:
 America/Argentina/Buenos_Aires America/Argentina/Catamarca America/Argentina/Cordoba
 America/Argentina/Jujuy America/Argentina/La_Rioja America/Argentina/Mendoza
 America/Argentina/Rio_Gallegos America/Argentina/Salta America/Argentina/San_Juan
 America/Argentina/San_Luis America/Argentina/Tucuman America/Argentina/Ushuaia
Armenia Standard Time|AMT|Armenia Summer Time|AMST|Armenia Time|AMT: Asia/Yerevan
Amazon Standard Time|AMT|Amazon Summer Time|AMST|Amazon Time|AMT: America/Manaus America/Boa_Vista
 America/Campo_Grande America/Cuiaba America/Porto_Velho
Astrakhan Standard Time|GMT+04:00|Astrakhan Standard Time|GMT+04:00|Astrakhan Time|GMT+04:00:
 Europe/Astrakhan
Atlantic Standard Time|AST|Atlantic Daylight Time|ADT|Atlantic Time|AT: America/Halifax
 America/Anguilla America/Antigua America/Aruba America/Barbados America/Blanc-Sablon
 America/Curacao America/Dominica America/Glace_Bay America/Goose_Bay America/Grenada
 America/Guadeloupe America/Kralendijk America/Lower_Princes America/Marigot America/Martinique
 America/Moncton America/Montserrat America/Port_of_Spain America/Puerto_Rico America/Santo_Domingo
 America/St_Barthelemy America/St_Kitts America/St_Lucia America/St_Thomas America/St_Vincent
 America/Thule America/Tortola Atlantic/Bermuda
Australian Central Standard Time|ACST|Australian Central Daylight Time|ACDT|Central Australia
 Time|ACT: Australia/Adelaide Australia/Broken_Hill Australia/Darwin
Acre Standard Time|ACT|Acre Summer Time|ACST|Acre Time|ACT: America/Rio_Branco America/Eirunepe
Australian Central Western Standard Time|ACWST|Australian Central Western Daylight
 Time|ACWDT|Australian Central Western Time|ACWT: Australia/Eucla
Australian Eastern Standard Time|AEST|Australian Eastern Daylight Time|AEDT|Eastern Australia
 Time|AET: Australia/Sydney Antarctica/Macquarie Australia/Brisbane Australia/Hobart
 Australia/Lindeman Australia/Melbourne
Azerbaijan Standard Time|AZT|Azerbaijan Summer Time|AZST|Azerbaijan Time|AZT: Asia/Baku
Azores Standard Time|AZOT|Azores Summer Time|AZOST|Azores Time|AZOT: Atlantic/Azores
Bangladesh Standard Time|BDT|Bangladesh Summer Time|BDST|Bangladesh Time|BDT: Asia/Dhaka
Barnaul Standard Time|GMT+07:00|Barnaul Daylight Time|GMT+07:00|Barnaul Time|GMT+07:00:
 Asia/Barnaul
Bhutan Time|BTT|Bhutan Summer Time|BTST|Bhutan Time|BTT: Asia/Thimphu
Bolivia Time|BOT|Bolivia Summer Time|BOST|Bolivia Time|BOT: America/La_Paz
Brasilia Standard Time|BRT|Brasilia Summer Time|BRST|Brasilia Time|BRT: America/Sao_Paulo
 America/Araguaina America/Bahia America/Belem America/Fortaleza America/Maceio America/Recife
 America/Santarem
Brunei Darussalam Time|BNT|Brunei Summer Time|BNST|Brunei Time|BNT: =Asia/Kuching Asia/Brunei
Cape Verde Standard Time|CVT|Cape Verde Summer Time|CVST|Cape Verde Time|CVT: Atlantic/Cape_Verde
Casey Time|AWST|Australian Western Daylight Time|AWDT|Australian Western Time|AWT: Antarctica/Casey
Australian Western Standard Time|AWST|Australian Western Daylight Time|AWDT|Western Australia
 Time|AWT: Australia/Perth
Central Africa Time|CAT|Central African Summer Time|CAST|Central Africa Time|CAT: Africa/Maputo
 Africa/Blantyre Africa/Bujumbura Africa/Gaborone Africa/Harare Africa/Juba Africa/Khartoum
 Africa/Kigali Africa/Lubumbashi Africa/Lusaka
Central Africa Time|CAT|Western African Time|WAT|Central African Time|CAT: =Africa/Maputo
 Africa/Windhoek
Central European Time|CET|Central European Summer Time|CEST|Central European Time|CET:
 =Europe/Paris CET
Central Indonesia Time|WITA|Central Indonesia Summer Time|CIST|Central Indonesia Time|WITA:
 Asia/Makassar
Chamorro Standard Time|ChST|Chamorro Daylight Time|ChDT|Chamorro Time|ChT: Pacific/Guam
 Pacific/Saipan
Chatham Standard Time|CHAST|Chatham Daylight Time|CHADT|Chatham Time|CHAT: Pacific/Chatham
Chile Standard Time|CLT|Chile Summer Time|CLST|Chile Time|CLT: =Antarctica/Palmer America/Santiago
Chile Time|CLT|Chile Summer Time|CLST|Chile Time|CLT: Antarctica/Palmer
China Standard Time|CST|China Daylight Time|CDT|China Time|CT: Asia/Shanghai Asia/Macau
Christmas Island Time|CXT|Christmas Island Summer Time|CXST|Christmas Island Time|CIT:
 =Asia/Bangkok Indian/Christmas
Chuuk Time|CHUT|Chuuk Summer Time|CHUST|Chuuk Time|CHUT: =Pacific/Port_Moresby Pacific/Chuuk
Cocos Islands Time|CCT|Cocos Islands Summer Time|CCST|Cocos Islands Time|CCT: =Asia/Yangon
 Indian/Cocos
Colombia Standard Time|COT|Colombia Summer Time|COST|Colombia Time|COT: America/Bogota
Cook Islands Standard Time|CKT|Cook Islands Half Summer Time|CKHST|Cook Islands Time|CKT:
 Pacific/Rarotonga
Coordinated Universal Time|UTC|Coordinated Universal Time|UTC|Coordinated Universal Time|UTC:
 Etc/UTC UTC
Cuba Standard Time|CST|Cuba Daylight Time|CDT|Cuba Time|CT: America/Havana
Davis Time|DAVT|Davis Summer Time|DAVST|Davis Time|DAVT: Antarctica/Davis
Dumont-d’Urville Time|DDUT|Dumont-d'Urville Summer Time|DDUST|Dumont-d'Urville Time|DDUT:
 =Pacific/Port_Moresby Antarctica/DumontDUrville
East Africa Time|EAT|Eastern African Summer Time|EAST|Eastern Africa Time|EAT: Africa/Nairobi
 Africa/Addis_Ababa Africa/Asmara Africa/Dar_es_Salaam Africa/Djibouti Africa/Kampala
 Africa/Mogadishu Indian/Antananarivo Indian/Comoro Indian/Mayotte
East Greenland Standard Time|EGT|East Greenland Summer Time|EGST|East Greenland Time|EGT:
 America/Scoresbysund
East Kazakhstan Time|ALMT|Alma-Ata Summer Time|ALMST|Alma-Ata Time|ALMT: Asia/Almaty
East Kazakhstan Time|QOST|Kostanay Summer Time|QOSST|Kostanay Time|QOST: =Asia/Almaty Asia/Qostanay
East Timor Time|TLT|Timor-Leste Summer Time|TLST|Timor-Leste Time|TLT: Asia/Dili
Easter Island Standard Time|EAST|Easter Island Summer Time|EASST|Easter Island Time|EAST:
 Pacific/Easter
Eastern European Standard Time|EET|Eastern European Summer Time|EEST|Eastern European Time|EET:
 Europe/Bucharest Africa/Cairo Africa/Tripoli Asia/Amman Asia/Beirut Asia/Damascus Asia/Gaza
 Asia/Hebron Asia/Nicosia Europe/Athens Europe/Chisinau Europe/Helsinki Europe/Kaliningrad
 Europe/Kiev Europe/Kyiv Europe/Mariehamn Europe/Nicosia Europe/Riga Europe/Sofia Europe/Tallinn
 Europe/Uzhgorod Europe/Vilnius Europe/Zaporozhye
Eastern European Time|EET|Eastern European Summer Time|EEST|Eastern European Time|EET:
 =Europe/Bucharest Asia/Famagusta EET
Eastern Indonesia Time|WIT|East Indonesia Summer Time|EIST|East Indonesia Time|WIT: Asia/Jayapura
Eastern Standard Time|EST|Eastern Daylight Time|EDT|Eastern Time|ET: America/New_York
 America/Atikokan America/Cancun America/Cayman America/Detroit America/Grand_Turk
 America/Indiana/Indianapolis America/Indiana/Marengo America/Indiana/Petersburg
 America/Indiana/Vevay America/Indiana/Vincennes America/Indiana/Winamac America/Iqaluit
 America/Jamaica America/Kentucky/Louisville America/Kentucky/Monticello America/Nassau
 America/Nipigon America/Panama America/Pangnirtung America/Port-au-Prince America/Thunder_Bay
 America/Toronto EST5EDT
Eastern Standard Time|EST|Eastern Standard Time|EST|Eastern Standard Time|EST: =America/New_York
 EST
Ecuador Time|ECT|Ecuador Summer Time|ECST|Ecuador Time|ECT: America/Guayaquil
Falkland Islands Standard Time|FKT|Falkland Islands Summer Time|FKST|Falkland Islands Time|FKT:
 Atlantic/Stanley
Fernando de Noronha Standard Time|FNT|Fernando de Noronha Summer Time|FNST|Fernando de Noronha
 Time|FNT: America/Noronha
Fiji Standard Time|FJT|Fiji Summer Time|FJST|Fiji Time|FJT: Pacific/Fiji
French Guiana Time|GFT|French Guiana Summer Time|GFST|French Guiana Time|GFT: America/Cayenne
French Southern & Antarctic Time|TFT|French Southern & Antarctic Lands Summer Time|TFST|French
 Southern & Antarctic Lands Time|TFT: =Indian/Maldives Indian/Kerguelen
Galapagos Time|GALT|Galapagos Summer Time|GALST|Galapagos Time|GALT: Pacific/Galapagos
Gambier Time|GAMT|Gambier Summer Time|GAMST|Gambier Time|GAMT: Pacific/Gambier
Georgia Standard Time|GET|Georgia Summer Time|GEST|Georgia Time|GET: Asia/Tbilisi
Gilbert Islands Time|GILT|Gilbert Is. Summer Time|GILST|Gilbert Is. Time|GILT: Pacific/Tarawa
Greenwich Mean Time|GMT|British Summer Time|BST|British Time|BT: =Africa/Abidjan Europe/Guernsey
 Europe/Isle_of_Man Europe/Jersey Europe/London
Bougainville Standard Time|BST|Bougainville Daylight Time|BST|Bougainville Time|BT:
 Pacific/Bougainville
Greenwich Mean Time|GMT|Central European Summer Time|CEST|Troll Time|ATT: =Africa/Abidjan
 Antarctica/Troll
Central European Standard Time|CET|Central European Summer Time|CEST|Central European Time|CET:
 Europe/Paris Africa/Algiers Africa/Ceuta Africa/Tunis Arctic/Longyearbyen Europe/Amsterdam
 Europe/Andorra Europe/Belgrade Europe/Berlin Europe/Bratislava Europe/Brussels Europe/Budapest
 Europe/Busingen Europe/Copenhagen Europe/Gibraltar Europe/Ljubljana Europe/Luxembourg
 Europe/Madrid Europe/Malta Europe/Monaco Europe/Oslo Europe/Podgorica Europe/Prague Europe/Rome
 Europe/San_Marino Europe/Sarajevo Europe/Skopje Europe/Stockholm Europe/Tirane Europe/Vaduz
 Europe/Vatican Europe/Vienna Europe/Warsaw Europe/Zagreb Europe/Zurich
Greenwich Mean Time|GMT|Ghana Summer Time|GHST|Ghana Mean Time|GMT: =Africa/Abidjan Africa/Accra
Greenwich Mean Time|GMT|Greenwich Mean Time|GMT|Greenwich Mean Time|GMT: Africa/Abidjan
 Africa/Bamako Africa/Banjul Africa/Bissau Africa/Conakry Africa/Dakar Africa/Freetown Africa/Lome
 Africa/Monrovia Africa/Nouakchott Africa/Ouagadougou Africa/Sao_Tome America/Danmarkshavn
 Atlantic/Reykjavik Atlantic/St_Helena Etc/GMT
Gulf Standard Time|GST|Gulf Daylight Time|GDT|Gulf Time|GT: Asia/Dubai Asia/Muscat
Guyana Time|GYT|Guyana Summer Time|GYST|Guyana Time|GYT: America/Guyana
Hawaii Standard Time|HST|Hawaii Standard Time|HST|Hawaii Standard Time|HST: = HST
Hawaii-Aleutian Standard Time|HAST|Hawaii-Aleutian Daylight Time|HADT|Hawaii-Aleutian Time|HAT:
 =Pacific/Honolulu America/Adak
Hawaii-Aleutian Standard Time|HST|Hawaii-Aleutian Daylight Time|HDT|Hawaii-Aleutian Time|HST:
 Pacific/Honolulu
Hong Kong Standard Time|HKT|Hong Kong Summer Time|HKST|Hong Kong Time|HKT: Asia/Hong_Kong
Hovd Standard Time|HOVT|Hovd Summer Time|HOVST|Hovd Time|HOVT: Asia/Hovd
Indian Ocean Time|IOT|Indian Ocean Territory Summer Time|IOST|Indian Ocean Territory Time|IOT:
 Indian/Chagos
Indochina Time|ICT|Indochina Summer Time|ICST|Indochina Time|ICT: Asia/Bangkok Asia/Ho_Chi_Minh
 Asia/Phnom_Penh Asia/Vientiane
Iran Standard Time|IRST|Iran Daylight Time|IRDT|Iran Time|IRT: Asia/Tehran
Irkutsk Standard Time|IRKT|Irkutsk Summer Time|IRKST|Irkutsk Time|IRKT: Asia/Irkutsk
Israel Standard Time|IST|Israel Daylight Time|IDT|Israel Time|IT: Asia/Jerusalem
India Standard Time|IST|India Daylight Time|IDT|India Time|IT: Asia/Kolkata Asia/Colombo
Greenwich Mean Time|GMT|Irish Standard Time|IST|Irish Time|IT: =Africa/Abidjan Europe/Dublin
Japan Standard Time|JST|Japan Daylight Time|JDT|Japan Time|JT: Asia/Tokyo
Kanton Standard Time|GMT+13:00|Kanton Daylight Time|GMT+13:00|Kanton Time|GMT+13:00: Pacific/Kanton
Korean Standard Time|KST|Korean Daylight Time|KDT|Korean Time|KT: Asia/Seoul Asia/Pyongyang
Kosrae Time|KOST|Kosrae Summer Time|KOSST|Kosrae Time|KOST: Pacific/Kosrae
Krasnoyarsk Standard Time|KRAT|Krasnoyarsk Summer Time|KRAST|Krasnoyarsk Time|KRAT:
 Asia/Krasnoyarsk Asia/Novokuznetsk
Kyrgyzstan Time|KGT|Kirgizstan Summer Time|KGST|Kirgizstan Time|KGT: Asia/Bishkek
Line Islands Time|LINT|Line Is. Summer Time|LINST|Line Is. Time|LINT: Pacific/Kiritimati
Lord Howe Standard Time|LHST|Lord Howe Daylight Time|LHDT|Lord Howe Time|LHT: Australia/Lord_Howe
Magadan Standard Time|MAGT|Magadan Summer Time|MAGST|Magadan Time|MAGT: Asia/Magadan
Malaysia Time|MYT|Malaysia Summer Time|MYST|Malaysia Time|MYT: Asia/Kuching Asia/Kuala_Lumpur
Maldives Time|MVT|Maldives Summer Time|MVST|Maldives Time|MVT: Indian/Maldives
Marquesas Time|MART|Marquesas Summer Time|MARST|Marquesas Time|MART: Pacific/Marquesas
Marshall Islands Time|MHT|Marshall Islands Summer Time|MHST|Marshall Islands Time|MHT:
 =Pacific/Tarawa Pacific/Kwajalein Pacific/Majuro
Mauritius Standard Time|MUT|Mauritius Summer Time|MUST|Mauritius Time|MUT: Indian/Mauritius
Mawson Time|MAWT|Mawson Summer Time|MAWST|Mawson Time|MAWT: Antarctica/Mawson
Mexican Pacific Standard Time|MST|Mexican Pacific Daylight Time|MDT|Mexican Pacific Time|MT:
 America/Mazatlan America/Hermosillo
Middle Europe Time|MET|Middle Europe Summer Time|MEST|Middle Europe Time|MET: =Europe/Paris MET
Moscow Standard Time|MSK|Moscow Daylight Time|MSD|Moscow Time|MT: =Europe/Moscow Europe/Kirov
Mountain Standard Time|MST|Mountain Daylight Time|MDT|Mountain Time|MT: America/Denver
 America/Boise America/Cambridge_Bay America/Ciudad_Juarez America/Creston America/Dawson
 America/Dawson_Creek America/Edmonton America/Fort_Nelson America/Inuvik America/Phoenix
 America/Whitehorse America/Yellowknife MST7MDT
Mountain Standard Time|MST|Mountain Standard Time|MST|Mountain Standard Time|MST: =America/Denver
 MST
Myanmar Time|MMT|Myanmar Summer Time|MMST|Myanmar Time|MMT: Asia/Yangon
Nauru Time|NRT|Nauru Summer Time|NRST|Nauru Time|NRT: Pacific/Nauru
Nepal Time|NPT|Nepal Summer Time|NPST|Nepal Time|NPT: Asia/Kathmandu
New Caledonia Standard Time|NCT|New Caledonia Summer Time|NCST|New Caledonia Time|NCT:
 Pacific/Noumea
New Zealand Standard Time|NZST|New Zealand Daylight Time|NZDT|New Zealand Time|NZT:
 Pacific/Auckland Antarctica/McMurdo
Newfoundland Standard Time|NST|Newfoundland Daylight Time|NDT|Newfoundland Time|NT:
 America/St_Johns
Niue Time|NUT|Niue Summer Time|NUST|Niue Time|NUT: Pacific/Niue
Norfolk Island Standard Time|NFT|Norfolk Island Daylight Time|NFST|Norfolk Island Time|NFT:
 Pacific/Norfolk
Northwest Mexico Standard Time|PST|Northwest Mexico Daylight Time|PDT|Northwest Mexico Time|PT:
 =America/Tijuana
Novosibirsk Standard Time|NOVT|Novosibirsk Summer Time|NOVST|Novosibirsk Time|NOVT:
 Asia/Novosibirsk
Omsk Standard Time|OMST|Omsk Summer Time|OMSST|Omsk Time|OMST: Asia/Omsk
Pakistan Standard Time|PKT|Pakistan Summer Time|PKST|Pakistan Time|PKT: Asia/Karachi
Palau Time|PWT|Palau Summer Time|PWST|Palau Time|PWT: Pacific/Palau
Papua New Guinea Time|PGT|Papua New Guinea Summer Time|PGST|Papua New Guinea Time|PGT:
 Pacific/Port_Moresby
Paraguay Standard Time|PYT|Paraguay Summer Time|PYST|Paraguay Time|PYT: America/Asuncion
Peru Standard Time|PET|Peru Summer Time|PEST|Peru Time|PET: America/Lima
Petropavlovsk-Kamchatski Standard Time|PETT|Petropavlovsk-Kamchatski Summer
 Time|PETST|Petropavlovsk-Kamchatski Time|PETT: Asia/Kamchatka
Philippine Standard Time|PST|Philippine Summer Time|PDT|Philippine Time|PT: Asia/Manila
Phoenix Islands Time|PHOT|Phoenix Is. Summer Time|PHOST|Phoenix Is. Time|PHOT: =Pacific/Kanton
Pitcairn Time|PST|Pitcairn Daylight Time|PDT|Pitcairn Time|PT: Pacific/Pitcairn
Pacific Standard Time|PST|Pacific Daylight Time|PDT|Pacific Time|PT: America/Los_Angeles
 America/Tijuana America/Vancouver PST8PDT
Ponape Time|PONT|Pohnpei Summer Time|PONST|Ponape Time|PONT: =Pacific/Guadalcanal Pacific/Pohnpei
Punta Arenas Standard Time|GMT-03:00|Punta Arenas Standard Time|GMT-03:00|Punta Arenas
 Time|GMT-03:00: America/Punta_Arenas
Rothera Time|ROTT|Rothera Summer Time|ROTST|Rothera Time|ROTT: Antarctica/Rothera
Réunion Time|RET|Reunion Summer Time|REST|Reunion Time|RET: =Asia/Dubai Indian/Reunion
Sakhalin Standard Time|SAKT|Sakhalin Summer Time|SAKST|Sakhalin Time|SAKT: Asia/Sakhalin
Samara Standard Time|SAMT|Samara Summer Time|SAMST|Samara Time|SAMT: Europe/Samara
Samoa Standard Time|SST|Samoa Daylight Time|SDT|Samoa Time|ST: Pacific/Pago_Pago Pacific/Midway
Saratov Standard Time|GMT+04:00|Saratov Standard Time|GMT+04:00|Saratov Time|GMT+04:00:
 Europe/Saratov
Seychelles Time|SCT|Seychelles Summer Time|SCST|Seychelles Time|SCT: =Asia/Dubai Indian/Mahe
Singapore Standard Time|SGT|Singapore Summer Time|SGST|Singapore Time|SGT: Asia/Singapore
Solomon Islands Time|SBT|Solomon Is. Summer Time|SBST|Solomon Is. Time|SBT: Pacific/Guadalcanal
South Africa Standard Time|SAST|South Africa Summer Time|SAST|South Africa Time|SAT:
 Africa/Johannesburg Africa/Maseru Africa/Mbabane
South Georgia Time|GST|South Georgia Daylight Time|GDT|South Georgia Time|GT:
 Atlantic/South_Georgia
Srednekolymsk Time|SRET|Srednekolymsk Daylight Time|SREDT|Srednekolymsk Time|SRET:
 Asia/Srednekolymsk
St. Pierre & Miquelon Standard Time|PMST|St. Pierre & Miquelon Daylight Time|PMDT|St. Pierre &
 Miquelon Time|PMT: America/Miquelon
Suriname Time|SRT|Suriname Summer Time|SRST|Suriname Time|SRT: America/Paramaribo
Syowa Time|SYOT|Syowa Summer Time|SYOST|Syowa Time|SYOT: =Asia/Riyadh Antarctica/Syowa
Tahiti Time|TAHT|Tahiti Summer Time|TAHST|Tahiti Time|TAHT: Pacific/Tahiti
Taipei Standard Time|CST|Taipei Daylight Time|CDT|Taipei Time|CT: Asia/Taipei
Central Standard Time|CST|Central Daylight Time|CDT|Central Time|CT: America/Chicago
 America/Bahia_Banderas America/Belize America/Chihuahua America/Costa_Rica America/El_Salvador
 America/Guatemala America/Indiana/Knox America/Indiana/Tell_City America/Managua America/Matamoros
 America/Menominee America/Merida America/Mexico_City America/Monterrey America/North_Dakota/Beulah
 America/North_Dakota/Center America/North_Dakota/New_Salem America/Ojinaga America/Rainy_River
 America/Rankin_Inlet America/Regina America/Resolute America/Swift_Current America/Tegucigalpa
 America/Winnipeg CST6CDT
Tajikistan Time|TJT|Tajikistan Summer Time|TJST|Tajikistan Time|TJT: Asia/Dushanbe
Tokelau Time|TKT|Tokelau Summer Time|TKST|Tokelau Time|TKT: Pacific/Fakaofo
Tomsk Standard Time|GMT+07:00|Tomsk Daylight Time|GMT+07:00|Tomsk Time|GMT+07:00: Asia/Tomsk
Tonga Standard Time|TOT|Tonga Summer Time|TOST|Tonga Time|TOT: Pacific/Tongatapu
Turkey Time|TRT|Turkey Summer Time|TRST|Turkey Time|TRT: Europe/Istanbul Asia/Istanbul
Turkmenistan Standard Time|TMT|Turkmenistan Summer Time|TMST|Turkmenistan Time|TMT: Asia/Ashgabat
Tuvalu Time|TVT|Tuvalu Summer Time|TVST|Tuvalu Time|TVT: =Pacific/Tarawa Pacific/Funafuti
Ulaanbaatar Standard Time|CHOT|Ulaanbaatar Summer Time|CHOST|Ulaanbaatar Time|CHOT:
 =Asia/Ulaanbaatar Asia/Choibalsan
Ulaanbaatar Standard Time|ULAT|Ulaanbaatar Summer Time|ULAST|Ulaanbaatar Time|ULAT:
 Asia/Ulaanbaatar
Ulyanovsk Standard Time|GMT+04:00|Ulyanovsk Standard Time|GMT+04:00|Ulyanovsk Time|GMT+04:00:
 Europe/Ulyanovsk
Uruguay Standard Time|UYT|Uruguay Summer Time|UYST|Uruguay Time|UYT: America/Montevideo
Uzbekistan Standard Time|UZT|Uzbekistan Summer Time|UZST|Uzbekistan Time|UZT: Asia/Tashkent
 Asia/Samarkand
Vanuatu Standard Time|VUT|Vanuatu Summer Time|VUST|Vanuatu Time|VUT: Pacific/Efate
Venezuela Time|VET|Venezuela Summer Time|VEST|Venezuela Time|VET: America/Caracas
Vladivostok Standard Time|VLAT|Vladivostok Summer Time|VLAST|Vladivostok Time|VLAT:
 Asia/Vladivostok Asia/Ust-Nera
Volgograd Standard Time|MSK|Volgograd Summer Time|MSD|Volgograd Time|MT: Europe/Volgograd
Moscow Standard Time|MSK|Moscow Summer Time|MSD|Moscow Time|MT: Europe/Moscow Europe/Minsk
 Europe/Simferopol
Vostok Time|VOST|Vostok Summer Time|VOSST|Vostok Time|VOST: Antarctica/Vostok
Wake Island Time|WAKT|Wake Summer Time|WAKST|Wake Time|WAKT: =Pacific/Tarawa Pacific/Wake
Wallis & Futuna Time|WFT|Wallis & Futuna Summer Time|WFST|Wallis & Futuna Time|WFT: =Pacific/Tarawa
 Pacific/Wallis
West Africa Standard Time|WAT|West Africa Summer Time|WAST|West Africa Time|WAT: Africa/Lagos
 Africa/Bangui Africa/Brazzaville Africa/Douala Africa/Kinshasa Africa/Libreville Africa/Luanda
 Africa/Malabo Africa/Ndjamena Africa/Niamey Africa/Porto-Novo
West Greenland Standard Time|WGT|West Greenland Summer Time|WGST|West Greenland Time|WGT:
 America/Nuuk
West Kazakhstan Time|AQTT|Aqtau Summer Time|AQTST|Aqtau Time|AQTT: =Asia/Aqtobe Asia/Aqtau
West Kazakhstan Time|AQTT|Aqtobe Summer Time|AQTST|Aqtobe Time|AQTT: Asia/Aqtobe
West Kazakhstan Time|GMT+05:00|Atyrau Daylight Time|GMT+05:00|Atyrau Time|GMT+05:00: =Asia/Aqtobe
 Asia/Atyrau
West Kazakhstan Time|ORAT|Oral Summer Time|ORAST|Oral Time|ORAT: =Asia/Aqtobe Asia/Oral
West Kazakhstan Time|QYZT|Qyzylorda Summer Time|QYZST|Qyzylorda Time|QYZT: =Asia/Aqtobe
 Asia/Qyzylorda
Western European Standard Time|WET|Western European Summer Time|WEST|Western European Time|WET:
 Atlantic/Canary Atlantic/Faroe Atlantic/Madeira Europe/Lisbon
Western European Time|WET|Western European Summer Time|WEST|Western European Time|WET:
 =Atlantic/Canary Africa/Casablanca Africa/El_Aaiun WET
Western Indonesia Time|WIB|West Indonesia Summer Time|WIST|West Indonesia Time|WIB: Asia/Jakarta
 Asia/Pontianak
Xinjiang Standard Time|XJT|Xinjiang Daylight Time|XJDT|Xinjiang Time|XJT: Asia/Urumqi
Yakutsk Standard Time|YAKT|Yakutsk Summer Time|YAKST|Yakutsk Time|YAKT: Asia/Yakutsk Asia/Chita
 Asia/Khandyga
Yekaterinburg Standard Time|YEKT|Yekaterinburg Summer Time|YEKST|Yekaterinburg Time|YEKT:
 Asia/Yekaterinburg
`

/** Zones without names: they are written as their offset. */
export const namelessZones = `
America/Coyhaique Etc/GMT+1 Etc/GMT+10 Etc/GMT+11 Etc/GMT+12 Etc/GMT+2 Etc/GMT+3 Etc/GMT+4
 Etc/GMT+5 Etc/GMT+6 Etc/GMT+7 Etc/GMT+8 Etc/GMT+9 Etc/GMT-1 Etc/GMT-10 Etc/GMT-11 Etc/GMT-12
 Etc/GMT-13 Etc/GMT-14 Etc/GMT-2 Etc/GMT-3 Etc/GMT-4 Etc/GMT-5 Etc/GMT-6 Etc/GMT-7 Etc/GMT-8
 Etc/GMT-9
`
