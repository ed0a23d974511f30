/*
 * display-words.js
 *   What the display says by itself, by language.  Names of queues, counters and branches come with
 *   the snapshot.  {n}, {m}, {time}, {name}, {number}, {counter} are filled in.
 */

/* now, number, counter: over the calls; last: earlier calls; nobody: instead of calls. */
export const WORDS = {
  en: {
    now: 'Now calling', last: 'Earlier calls', queues: 'Waiting', waiting: 'waiting', wait: 'Wait', minutes: '{n} min', hours: '{n} h {m} min',
    under: 'under 1 min', about: 'about', open: 'Open', paused: 'Paused', closed: 'Closed', closedNow: 'Closed now', nobody: 'Please wait for your number',
    serving: 'being served', again: 'Second call', call: '{number}: please come to {counter}', lost: 'No connection. Last news at {time}', never: 'No connection yet',
    loading: 'Connecting', unknown: 'There is no branch “{name}”', unknownHint: 'Check the address of this page. It looks again by itself.',
    denied: 'This display is not public', deniedHint: 'It needs a token, or the branch has to allow it. It looks again by itself.', sound: 'Touch the screen or press a key for sound', page: 'Page {n} of {m}',
  },
  de: {
    now: 'Jetzt aufgerufen', last: 'Frühere Aufrufe', queues: 'Es warten', waiting: 'wartend', wait: 'Wartezeit', minutes: '{n} Min.', hours: '{n} Std. {m} Min.',
    under: 'unter 1 Min.', about: 'ca.', open: 'Geöffnet', paused: 'Pause', closed: 'Geschlossen', closedNow: 'Zurzeit geschlossen', nobody: 'Bitte warten Sie auf Ihre Nummer',
    serving: 'in Bedienung', again: 'Erneuter Aufruf', call: '{number}: bitte zu {counter}', lost: 'Keine Verbindung. Stand: {time}', never: 'Noch keine Verbindung',
    loading: 'Verbindung wird aufgebaut', unknown: 'Es gibt keine Zweigstelle „{name}“', unknownHint: 'Bitte die Adresse dieser Seite prüfen. Sie versucht es von selbst erneut.',
    denied: 'Diese Anzeige ist nicht öffentlich', deniedHint: 'Sie braucht ein Token oder eine Freigabe der Zweigstelle. Sie versucht es von selbst erneut.', sound: 'Für Ton den Bildschirm berühren oder eine Taste drücken', page: 'Seite {n} von {m}',
  },
  fr: {
    now: 'Numéros appelés', last: 'Appels précédents', queues: 'En attente', waiting: 'en attente', wait: 'Attente', minutes: '{n} min', hours: '{n} h {m} min',
    under: 'moins de 1 min', about: 'env.', open: 'Ouvert', paused: 'Pause', closed: 'Fermé', closedNow: 'Actuellement fermé', nobody: 'Veuillez attendre votre numéro',
    serving: 'au guichet', again: 'Deuxième appel', call: '{number} : {counter}', lost: 'Pas de connexion. Dernières nouvelles à {time}', never: 'Pas encore de connexion',
    loading: 'Connexion en cours', unknown: 'Aucun site « {name} »', unknownHint: 'Vérifiez l’adresse de cette page. Elle réessaie toute seule.',
    denied: 'Cet affichage n’est pas public', deniedHint: 'Il faut un jeton ou l’accord du site. La page réessaie toute seule.', sound: 'Pour le son, touchez l’écran ou une touche', page: 'Page {n} sur {m}',
  },
  es: {
    now: 'Turnos llamados', last: 'Llamadas anteriores', queues: 'En espera', waiting: 'en espera', wait: 'Espera', minutes: '{n} min', hours: '{n} h {m} min',
    under: 'menos de 1 min', about: 'aprox.', open: 'Abierto', paused: 'Pausa', closed: 'Cerrado', closedNow: 'Cerrado en este momento', nobody: 'Espere a que aparezca su número',
    serving: 'en atención', again: 'Segunda llamada', call: '{number}: pase a {counter}', lost: 'Sin conexión. Últimos datos: {time}', never: 'Todavía sin conexión',
    loading: 'Conectando', unknown: 'No existe la sede «{name}»', unknownHint: 'Compruebe la dirección de esta página. Lo intentará de nuevo.',
    denied: 'Esta pantalla no es pública', deniedHint: 'Necesita un token o un permiso de la sede. Lo intentará de nuevo.', sound: 'Toque la pantalla o pulse una tecla para activar el sonido', page: 'Página {n} de {m}',
  },
  it: {
    now: 'Numeri chiamati', last: 'Chiamate precedenti', queues: 'In attesa', waiting: 'in attesa', wait: 'Attesa', minutes: '{n} min', hours: '{n} h {m} min',
    under: 'meno di 1 min', about: 'circa', open: 'Aperto', paused: 'Pausa', closed: 'Chiuso', closedNow: 'Al momento chiuso', nobody: 'Attendere il proprio numero',
    serving: 'allo sportello', again: 'Seconda chiamata', call: '{number}: {counter}', lost: 'Nessuna connessione. Ultimo aggiornamento: {time}', never: 'Ancora nessuna connessione',
    loading: 'Connessione in corso', unknown: 'La sede «{name}» non esiste', unknownHint: 'Controllare l’indirizzo della pagina. Riprova da sola.',
    denied: 'Questo schermo non è pubblico', deniedHint: 'Serve un token o il consenso della sede. Riprova da sola.', sound: 'Per l’audio toccare lo schermo o premere un tasto', page: 'Pagina {n} di {m}',
  },
  pt: {
    now: 'Números chamados', last: 'Chamadas anteriores', queues: 'Em espera', waiting: 'em espera', wait: 'Espera', minutes: '{n} min', hours: '{n} h {m} min',
    under: 'menos de 1 min', about: 'cerca de', open: 'Aberto', paused: 'Pausa', closed: 'Fechado', closedNow: 'Fechado neste momento', nobody: 'Aguarde pelo seu número',
    serving: 'em atendimento', again: 'Segunda chamada', call: '{number}: {counter}', lost: 'Sem ligação. Últimos dados: {time}', never: 'Ainda sem ligação',
    loading: 'A ligar', unknown: 'Não existe o local “{name}”', unknownHint: 'Verifique o endereço desta página. Ela tenta de novo sozinha.',
    denied: 'Este ecrã não é público', deniedHint: 'Precisa de um token ou da autorização do local. Tenta de novo sozinho.', sound: 'Toque no ecrã ou numa tecla para ter som', page: 'Página {n} de {m}',
  },
  nl: {
    now: 'Nu opgeroepen', last: 'Eerdere oproepen', queues: 'Wachtenden', waiting: 'wachtend', wait: 'Wachttijd', minutes: '{n} min', hours: '{n} u {m} min',
    under: 'minder dan 1 min', about: 'ca.', open: 'Open', paused: 'Pauze', closed: 'Gesloten', closedNow: 'Nu gesloten', nobody: 'Wacht op uw nummer',
    serving: 'aan de balie', again: 'Tweede oproep', call: '{number}: naar {counter}', lost: 'Geen verbinding. Laatste nieuws: {time}', never: 'Nog geen verbinding',
    loading: 'Verbinden', unknown: 'Er is geen vestiging “{name}”', unknownHint: 'Controleer het adres van deze pagina. Ze probeert het vanzelf opnieuw.',
    denied: 'Dit scherm is niet openbaar', deniedHint: 'Het heeft een token nodig, of toestemming van de vestiging. Het probeert vanzelf opnieuw.', sound: 'Raak het scherm aan of druk op een toets voor geluid', page: 'Pagina {n} van {m}',
  },
  pl: {
    now: 'Wezwane numery', last: 'Poprzednie wezwania', queues: 'Oczekujący', waiting: 'oczekuje', wait: 'Czas oczekiwania', minutes: '{n} min', hours: '{n} godz. {m} min',
    under: 'poniżej 1 min', about: 'ok.', open: 'Otwarte', paused: 'Przerwa', closed: 'Zamknięte', closedNow: 'Teraz zamknięte', nobody: 'Proszę czekać na swój numer',
    serving: 'obsługiwany', again: 'Drugie wezwanie', call: '{number}: {counter}', lost: 'Brak połączenia. Stan z {time}', never: 'Jeszcze brak połączenia',
    loading: 'Łączenie', unknown: 'Nie ma oddziału „{name}”', unknownHint: 'Proszę sprawdzić adres tej strony. Spróbuje ponownie sama.',
    denied: 'Ten ekran nie jest publiczny', deniedHint: 'Potrzebny jest token lub zgoda oddziału. Spróbuje ponownie sam.', sound: 'Dotknij ekranu lub naciśnij klawisz, aby włączyć dźwięk', page: 'Strona {n} z {m}',
  },
  tr: {
    now: 'Çağrılan numaralar', last: 'Önceki çağrılar', queues: 'Bekleyenler', waiting: 'bekliyor', wait: 'Bekleme', minutes: '{n} dk', hours: '{n} sa {m} dk',
    under: '1 dk’dan az', about: 'yaklaşık', open: 'Açık', paused: 'Ara', closed: 'Kapalı', closedNow: 'Şu anda kapalı', nobody: 'Lütfen numaranızı bekleyin',
    serving: 'işlemde', again: 'İkinci çağrı', call: '{number}: {counter}', lost: 'Bağlantı yok. Son bilgi: {time}', never: 'Henüz bağlantı yok',
    loading: 'Bağlanıyor', unknown: '“{name}” adlı şube yok', unknownHint: 'Bu sayfanın adresini denetleyin. Kendiliğinden yeniden dener.',
    denied: 'Bu ekran herkese açık değil', deniedHint: 'Bir belirteç ya da şubenin izni gerekir. Kendiliğinden yeniden dener.', sound: 'Ses için ekrana dokunun ya da bir tuşa basın', page: 'Sayfa {n} / {m}',
  },
  uk: {
    now: 'Викликані номери', last: 'Попередні виклики', queues: 'Очікують', waiting: 'очікують', wait: 'Очікування', minutes: '{n} хв', hours: '{n} год {m} хв',
    under: 'менше 1 хв', about: 'близько', open: 'Відчинено', paused: 'Перерва', closed: 'Зачинено', closedNow: 'Зараз зачинено', nobody: 'Зачекайте на свій номер',
    serving: 'обслуговується', again: 'Повторний виклик', call: '{number}: {counter}', lost: 'Немає зв’язку. Дані на {time}', never: 'Зв’язку ще немає',
    loading: 'З’єднання', unknown: 'Немає відділення «{name}»', unknownHint: 'Перевірте адресу цієї сторінки. Вона спробує ще раз сама.',
    denied: 'Це табло не є загальнодоступним', deniedHint: 'Потрібен токен або дозвіл відділення. Табло спробує ще раз саме.', sound: 'Торкніться екрана або натисніть клавішу, щоб увімкнути звук', page: 'Сторінка {n} з {m}',
  },
  ru: {
    now: 'Вызванные номера', last: 'Предыдущие вызовы', queues: 'Ожидают', waiting: 'ожидают', wait: 'Ожидание', minutes: '{n} мин', hours: '{n} ч {m} мин',
    under: 'меньше 1 мин', about: 'около', open: 'Открыто', paused: 'Перерыв', closed: 'Закрыто', closedNow: 'Сейчас закрыто', nobody: 'Подождите свой номер',
    serving: 'обслуживается', again: 'Повторный вызов', call: '{number}: {counter}', lost: 'Нет связи. Данные на {time}', never: 'Связи ещё нет',
    loading: 'Соединение', unknown: 'Нет отделения «{name}»', unknownHint: 'Проверьте адрес этой страницы. Она попробует снова сама.',
    denied: 'Это табло не общедоступно', deniedHint: 'Нужен токен или разрешение отделения. Табло попробует снова само.', sound: 'Коснитесь экрана или нажмите клавишу, чтобы включить звук', page: 'Страница {n} из {m}',
  },
  ar: {
    now: 'الأرقام المطلوبة الآن', last: 'النداءات السابقة', queues: 'في الانتظار', waiting: 'في الانتظار', wait: 'الانتظار', minutes: '{n} دقيقة', hours: '{n} ساعة {m} دقيقة',
    under: 'أقل من دقيقة', about: 'نحو', open: 'مفتوح', paused: 'استراحة', closed: 'مغلق', closedNow: 'مغلق الآن', nobody: 'يرجى انتظار رقمكم',
    serving: 'قيد الخدمة', again: 'نداء ثانٍ', call: '{number}: {counter}', lost: 'لا يوجد اتصال. آخر تحديث {time}', never: 'لا يوجد اتصال بعد',
    loading: 'جارٍ الاتصال', unknown: 'لا يوجد فرع باسم «{name}»', unknownHint: 'يرجى التحقق من عنوان الصفحة. ستعيد المحاولة تلقائيًا.',
    denied: 'هذه الشاشة ليست عامة', deniedHint: 'تحتاج إلى رمز أو إلى إذن من الفرع. ستعيد المحاولة تلقائيًا.', sound: 'المسوا الشاشة أو اضغطوا أي مفتاح لتشغيل الصوت', page: 'صفحة {n} من {m}',
  },
  zh: {
    now: '正在叫号', last: '之前的叫号', queues: '等候人数', waiting: '等候', wait: '预计等候', minutes: '{n} 分钟', hours: '{n} 小时 {m} 分钟',
    under: '不到 1 分钟', about: '约', open: '开放', paused: '暂停', closed: '关闭', closedNow: '目前不办理业务', nobody: '请等候叫号',
    serving: '办理中', again: '再次叫号', call: '{number} 请到 {counter}', lost: '连接中断，最后更新 {time}', never: '尚未连接',
    loading: '正在连接', unknown: '没有名为“{name}”的网点', unknownHint: '请检查本页地址。页面会自动重试。',
    denied: '此显示屏不公开', deniedHint: '需要令牌或网点许可。页面会自动重试。', sound: '请触摸屏幕或按任意键开启声音', page: '第 {n} 页，共 {m} 页',
  },
  ja: {
    now: 'ただいまの呼び出し', last: 'これまでの呼び出し', queues: 'お待ちの方', waiting: '人待ち', wait: '待ち時間', minutes: '{n} 分', hours: '{n} 時間 {m} 分',
    under: '1 分未満', about: '約', open: '受付中', paused: '休止中', closed: '受付終了', closedNow: 'ただいま閉まっています', nobody: '番号が表示されるまでお待ちください',
    serving: '対応中', again: '再度の呼び出し', call: '{number} 番 {counter}へ', lost: '接続が切れています。最終更新 {time}', never: 'まだ接続されていません',
    loading: '接続しています', unknown: '「{name}」という窓口はありません', unknownHint: 'このページのアドレスを確認してください。自動的に再試行します。',
    denied: 'この表示は公開されていません', deniedHint: 'トークンまたは許可が必要です。自動的に再試行します。', sound: '音を出すには画面に触れるかキーを押してください', page: '{n} / {m} ページ',
  },
};

const RIGHT_TO_LEFT = ['ar', 'fa', 'he', 'ur'];

export function directionOf(language) {
  return RIGHT_TO_LEFT.includes(language.split('-')[0]) ? 'rtl' : 'ltr';
}

/* word('de', 'page', { n: 1, m: 2 }) */
export function word(language, key, values) {
  const words = WORDS[language] || WORDS[language.split('-')[0]] || WORDS.en;
  return (words[key] || WORDS.en[key]).replace(/\{(\w+)\}/g, (whole, name) => (values && name in values ? String(values[name]) : whole));
}

/* Languages of the address, else of the branch, else of the browser, else English; those only that something is known of. */
export function languagesFor(wanted, ofBranch, ofBrowser) {
  if (wanted.length > 0) return wanted;
  const usable = (languages) => languages.map((language) => language.toLowerCase()).filter((language) => WORDS[language.split('-')[0]]);
  if (usable(ofBranch).length > 0) return usable(ofBranch);
  return usable(ofBrowser).slice(0, 1).concat('en').slice(0, 1);
}
